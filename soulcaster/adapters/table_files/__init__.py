"""Reading the rows of a table's file, whichever program wrote it. Nothing here knows about Kafka or feedback."""
