"""The templates of the pages: one environment, so that a process compiles each template once."""

import jinja2

from soulcaster.domain.lifecycle import MAX_LAUNCHES
from soulcaster.web import api_docs
from soulcaster.web.pages import formatting, job_formatting


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("soulcaster.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        **formatting.FILTERS,
        **job_formatting.FILTERS,
        "type_of": api_docs.type_of,
        "constraints": api_docs.constraints,
    }
    environment.globals["most_launches"] = MAX_LAUNCHES
    return environment


TEMPLATES = _environment()
"""It knows nothing of an application: what differs between two of them is in the context of a page."""
