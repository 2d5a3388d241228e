"""What the program of a job gets from the API about its work: the same models on both sides."""

from pydantic import RootModel

from soulcaster.domain.fixes.order import Credential, JobOrder


class JobOrderOut(RootModel[JobOrder]):
    """The order of a job; `domain.fixes.order` explains its fields."""


class CredentialOut(RootModel[Credential]):
    """A credential for one use."""
