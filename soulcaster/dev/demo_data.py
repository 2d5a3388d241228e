"""The demo data: BANKING77's test set, 3,080 real messages to a bank, labelled by what they are about."""

from pathlib import Path

FILE = Path(__file__).parent.parent / "data" / "banking77.csv"
TEXT_COLUMN = "text"
LABEL_COLUMN = "category"
