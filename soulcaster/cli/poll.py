"""`soulcaster poll`: the pollers."""

import typer

from soulcaster.cli.options import DataDir, settings_of
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR

app = typer.Typer(no_args_is_help=True, help="Run a poller: it reads a source and posts what is new to the HTTP API.")


@app.command()
def reddit(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Poll the subreddits of every project that the API shows, until Ctrl-C or SIGTERM.

    POST /config/reddit/subreddits sets the subreddits; POST /reddit/poll has them polled at once. The poller needs
    only the API (BACKEND_URL, SOULCASTER_API_KEY), so it can run anywhere. One poller is enough; docs/sources.md says
    more.

    `BACKEND_URL=https://feedback.example.com SOULCASTER_API_KEY=$KEY soulcaster poll reddit`
    """
    from soulcaster.processes.poller import run_reddit_poller

    run_reddit_poller(settings_of(data_dir))


@app.command()
def github(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Have the GitHub issues of every project that the API shows synced every few minutes, until Ctrl-C or SIGTERM.

    PUT /config/project sets the repositories. The web server reads the issues; the poller needs only the API
    (BACKEND_URL, SOULCASTER_API_KEY), so it can run anywhere. One poller is enough; docs/sources.md says more.

    `BACKEND_URL=https://feedback.example.com SOULCASTER_API_KEY=$KEY soulcaster poll github`
    """
    from soulcaster.processes.poller import run_github_poller

    run_github_poller(settings_of(data_dir))
