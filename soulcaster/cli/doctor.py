"""`soulcaster doctor`: whether everything runs, and what to do about what does not."""

from typing import TYPE_CHECKING

import typer

from soulcaster.cli.options import AsJson, DataDir, complete, settings_of
from soulcaster.cli.output import say
from soulcaster.processes.data_dir import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from soulcaster.cli.checks import EmbedderSpeed, Report


def doctor(as_json: AsJson = False, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Show what is reachable, which versions run, how far behind each agent is, and how to fix what is wrong.

    The exit code is 1 if anything is wrong.
    """
    from soulcaster.cli.checks import examine

    report = complete(examine(settings_of(data_dir), data_dir))
    if as_json:
        say(report.model_dump_json(indent=2))
    else:
        _print(report)
    if report.problems:
        raise typer.Exit(1)


def _described(embedder: "EmbedderSpeed") -> str:
    name = f"{embedder.setting} ({embedder.model})"
    return name if embedder.texts_per_s is None else f"{name}, about {embedder.texts_per_s:,} short texts a second here"


def _print(report: "Report") -> None:
    from soulcaster.terminal import console, literal, table

    out = console()
    out.print("  ".join(f"{name} {number}" for name, number in report.versions.items()))
    parts = table("", "Address", "Version")
    for part in report.parts:
        state = literal("up  ", "green") if part.reachable else literal("down", "red")
        parts.add_row(state.append_text(literal(f" {part.name}", "default")), part.address, part.version)
    out.print(parts)
    if report.embedder:
        out.print(f"\nEmbedder: {_described(report.embedder)}")
        if any(behind.lag for behind in report.behind if "embed" in behind.agents):
            out.print("Messages wait for it. If they become more, see docs/embedders.md: threads, workers, `static`.")
    if report.groups:
        differ = f", {len(report.topics_differ)} differ" if report.topics_differ else ""
        out.print(f"\nTopics: {report.topics_right} right{differ}")
        for group in report.groups:
            out.print(f"Group {group.name}: {group.members} running")
        lags = table("To read", "Topic", "By")
        for behind in report.behind:
            lags.add_row(f"{behind.lag:>7,}", behind.topic, ", ".join(behind.agents))
        out.print(lags)
    if report.dead_letters:
        out.print(
            f"\n{report.dead_letters:,} dead letters: messages that could not be processed. See them and their "
            "reasons with:\n  soulcaster tail dead-letters --from-beginning --no-follow"
        )
    for one in report.set_aside:
        out.print(
            f"{one.records:,} records of {one.topic} could not be read, in {one.places:,} places: each place is one of "
            "these dead letters."
        )
    if report.deaths:
        deaths = table("Died", "Times in a row", "Last", "Now")
        for death in report.deaths:
            at, now = death.at.astimezone().strftime("%H:%M:%S"), "runs again" if death.running else "waits"
            deaths.add_row(death.name, str(death.deaths), at, now)
        out.print()
        out.print(deaths)
    if report.foreign:
        languages = table("Foreign", "Of items", "Project", "Languages")
        for found in report.foreign:
            total = sum(items for _, items in found.languages)
            named = ", ".join(f"{language} {items:,}" for language, items in found.languages)
            languages.add_row(f"{total:>7,}", f"{found.items:,}", found.project_id, named)
        out.print()
        out.print(languages)
        out.print("The embedder does not know these languages: it compares such items by their words.")
    if report.full:
        full = table("Full", "Used", "Limit", "Project", "Setting")
        for limit in report.full:
            whose = "all projects" if limit.project_id is None else limit.project_id
            full.add_row(limit.what, f"{limit.used:>7,}", f"{limit.limit:>7,}", whose, limit.setting)
        out.print()
        out.print(full)
        out.print("What is more than that is refused, and whoever sent it is told why. Other projects go on.")
    for problem in report.problems:
        say(f"\nProblem: {problem.what}\n  What to do: {problem.advice}")
    if not report.problems:
        out.print("\nAll is well.")
