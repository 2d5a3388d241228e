"""What githubkit's errors mean to us."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from githubkit.exception import RateLimitExceeded, RequestError, RequestFailed

from soulcaster.errors import SoulcasterError, SourceLimited, SourceUnavailable
from soulcaster.http_numbers import LONGEST_WAIT
from soulcaster.ports.clock import Clock


@contextmanager
def kit_errors(
    url: str, what: str, clock: Clock, refusal: Callable[[RequestFailed], SoulcasterError]
) -> Iterator[None]:
    """Turn errors of a call of the API at `url` about `what` into ours; `refusal` gives that for a status.

    Causes are left out: they hold the request with its headers, or the response.

    Raises:
        SourceLimited: GitHub takes no more requests for now.
        SourceUnavailable: it does not answer, or not as it should.
    """
    try:
        yield
    except RateLimitExceeded as error:
        wait = min(max(error.retry_after, timedelta(seconds=1)), timedelta(seconds=LONGEST_WAIT))
        raise SourceLimited("GitHub takes no more requests for now", clock() + wait) from None
    except RequestFailed as error:
        raise refusal(error) from None
    except RequestError as error:
        reason = type(error.exc).__name__
        raise SourceUnavailable(f"GitHub at {url} does not answer ({reason})") from None
    except (ValueError, OverflowError):  # githubkit reads a header's number as it is
        raise SourceUnavailable(f"GitHub at {url} sent an invalid answer about {what}") from None
