import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from soulcaster.domain.fixes.fix import FollowUp
from soulcaster.domain.fixes.order import FixRules, JobOrder, Report
from soulcaster.domain.fixes.outcome import FixOutcome
from soulcaster.domain.fixes.patch import FileChange, Patch
from soulcaster.errors import NoPatch, SourceRefuses, SourceUnavailable
from soulcaster.fixer.publishing import Made, Published, Pushed
from tests.support.git_server import GitFault
from tests.support.github_server import Fault, GitHubServer
from tests.support.publishing import BRANCH, FILES, TOKEN, change, order, publish, publish_killed


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GitHubServer]:
    async with GitHubServer(tmp_path) as server:
        server.token(TOKEN, "mona")
        yield server


def shop(server: GitHubServer, name: str = "acme/shop", **fields: object) -> str:
    return server.add(name, FILES, people={"mona": "write"}, **fields)


async def test_a_fix_becomes_a_branch_with_one_commit_and_a_draft_pull_request(server: GitHubServer) -> None:
    base = shop(server)
    server.git.commit("acme/shop", {"README.md": "The base went on.\n"})
    published = await publish(order(server, "acme/shop", base))
    assert server.git.branch("acme/shop", BRANCH) == published.commit
    shown = server.git.git("acme/shop", "show", "-s", "--format=%P|%an <%ae>|%s|%(trailers:key=Soulcaster-Job)", BRANCH)
    assert shown == f"{base}|Soulcaster <bot@example.org>|Fix: The cart is empty|Soulcaster-Job: job-1\n".rstrip("\n")
    assert server.git.read("acme/shop", BRANCH, "cart.py") == "total = 1"
    (pull,) = server.pulls("acme/shop")
    assert (pull.title, pull.draft, pull.base, pull.head_branch) == ("Fix: The cart is empty", True, "main", BRANCH)
    assert "> I changed the total." in pull.body
    assert published.pull_request is not None
    assert published.pull_request.number == pull.number


async def test_a_job_that_stops_at_the_branch_opens_no_pull_request(server: GitHubServer) -> None:
    published = await publish(order(server, "acme/shop", shop(server), stop_at="branch"))
    assert published.pull_request is None
    assert server.git.branch("acme/shop", BRANCH) == published.commit
    assert server.pulls("acme/shop") == []


async def test_whoever_may_not_push_and_projects_that_want_it_publish_from_a_fork(server: GitHubServer) -> None:
    base = server.add("acme/shop", FILES)
    server.add("acme/store", FILES, people={"mona": "write"})
    await publish(order(server, "acme/shop", base))
    wanted = order(server, "acme/store", server.git.branch("acme/store", "main") or "", rules=FixRules(fork=True))
    published = await publish(wanted)
    assert published.repository == "mona/store"
    for name in ("shop", "store"):
        assert list(server.git.branches(f"acme/{name}")) == ["main"]
        assert server.pulls(f"acme/{name}")[0].head_repository == f"mona/{name}"


async def test_an_old_fork_gets_the_history_that_it_lacks(server: GitHubServer) -> None:
    server.add("acme/shop", FILES)
    await publish(order(server, "acme/shop", server.git.branch("acme/shop", "main") or ""))
    base = server.git.commit("acme/shop", {"README.md": "Newer\n"})
    later = order(server, "acme/shop", base, branch="soulcaster/fix-abc-2", job_id="job-2")
    await publish(later)
    assert [pull.head_repository for pull in server.pulls("acme/shop")] == ["mona/shop", "mona/shop"]


async def test_the_present_name_of_a_renamed_repository_is_used(server: GitHubServer) -> None:
    base = shop(server)
    server.rename("acme/shop", "acme/store")
    assert (await publish(order(server, "acme/shop", base))).repository == "acme/store"


async def test_an_issue_is_opened_first_unless_a_report_is_one(server: GitHubServer) -> None:
    base = shop(server)
    wanted = order(server, "acme/shop", base, rules=FixRules(issue=True))
    await publish(wanted)
    (issue,) = server.repositories["acme/shop"].issues.values()
    assert f"Closes #{issue['number']}" in server.pulls("acme/shop")[0].body
    report = Report("github", f"{server.git_url}/acme/shop/issues/{issue['number']}")
    await publish(dataclasses.replace(wanted, cluster_id="other", branch="soulcaster/x", reports=(report,)))
    assert len(server.repositories["acme/shop"].issues) == 1
    assert f"Issue: #{issue['number']}" in server.pulls("acme/shop")[1].body


async def test_an_issue_that_a_person_closes_meanwhile_is_not_opened_again(server: GitHubServer) -> None:
    wanted = order(server, "acme/shop", shop(server), rules=FixRules(issue=True))
    await publish_killed(wanted, "opened the issue")
    (issue,) = server.repositories["acme/shop"].issues.values()
    issue["state"] = "closed"
    await publish(wanted)
    assert len(server.repositories["acme/shop"].issues) == 1
    assert f"Closes #{issue['number']}" in server.pulls("acme/shop")[0].body


async def test_where_issues_are_turned_off_there_is_none_and_the_pull_request_says_so(server: GitHubServer) -> None:
    base = shop(server, has_issues=False)
    published = await publish(order(server, "acme/shop", base, rules=FixRules(issue=True)))
    assert ["issues are turned off in acme/shop" in flag for flag in published.flags] == [True]
    (pull,) = server.pulls("acme/shop")
    assert "issues are turned off in acme/shop" in pull.body.replace("\\", "")
    assert "Closes" not in pull.body


async def test_a_refused_issue_names_the_setting_that_wants_it(server: GitHubServer) -> None:
    of = order(server, "acme/shop", shop(server), rules=FixRules(issue=True))
    server.faults[("POST", "/issues")] = [Fault(403, "Resource not accessible by personal access token")]
    with pytest.raises(SourceRefuses, match=r"fix\.issue.*issues \(read and write\)"):
        await publish(of)


async def test_publishing_again_changes_nothing_and_another_change_replaces_the_branch(server: GitHubServer) -> None:
    of = order(server, "acme/shop", shop(server))
    first = await publish(of)
    assert (await publish(of)).commit == first.commit
    second = await publish(of, change(new="total = 2"))
    assert server.git.branch("acme/shop", BRANCH) == second.commit != first.commit
    assert server.git.read("acme/shop", BRANCH, "cart.py") == "total = 2"
    assert len(server.pulls("acme/shop")) == 1


@pytest.mark.parametrize("message", ["A person's change", "Not ours\n\nSoulcaster-Job: job-0"])
async def test_a_branch_with_somebody_elses_commit_stays_as_it_is(server: GitHubServer, message: str) -> None:
    of = order(server, "acme/shop", shop(server), stop_at="branch")
    await publish(of)
    theirs = server.git.commit("acme/shop", {"README.md": "Theirs\n"}, branch=BRANCH, message=message)
    with pytest.raises(SourceRefuses, match="left as it is"):
        await publish(of, change(new="total = 2"))
    assert server.git.branch("acme/shop", BRANCH) == theirs


async def test_a_pull_request_on_which_people_build_before_it_is_reported_is_what_the_job_made(
    server: GitHubServer,
) -> None:
    of = order(server, "acme/shop", shop(server))
    await publish_killed(of, "opened the pull request")
    first = server.git.branch("acme/shop", BRANCH)
    theirs = server.git.commit("acme/shop", {"README.md": "Theirs\n"}, branch=BRANCH)
    published = await publish(of, dataclasses.replace(change(new="total = 2"), summary="Something else."))
    assert (published.commit, server.git.branch("acme/shop", BRANCH)) == (first, theirs)
    assert "An earlier launch" in published.flags[0]
    (pull,) = server.pulls("acme/shop")
    assert published.pull_request is not None
    assert published.pull_request.number == pull.number
    assert "Something else." not in pull.body


@pytest.mark.parametrize("end", ["close", "merge"])
async def test_a_pull_request_that_people_ended_gets_no_successor(server: GitHubServer, end: str) -> None:
    of = order(server, "acme/shop", shop(server))
    commit = (await publish(of)).commit
    getattr(server, end)("acme/shop", 1)
    with pytest.raises(SourceRefuses, match="already"):
        await publish(of, change(new="total = 2"))
    assert server.git.branch("acme/shop", BRANCH) == commit
    assert len(server.pulls("acme/shop")) == 1


async def test_only_branches_of_ours_are_pushed_to(server: GitHubServer) -> None:
    base = shop(server)
    for branch in ("main", "soulcaster", "soulcaster/"):
        with pytest.raises(SourceRefuses, match="begins with soulcaster/"):
            await publish(order(server, "acme/shop", base, branch=branch))
    assert server.git.branches("acme/shop") == {"main": base}


async def test_empty_and_archived_repositories_are_refused(server: GitHubServer) -> None:
    server.add("acme/empty", people={"mona": "write"})
    with pytest.raises(SourceRefuses, match="empty"):
        await publish(order(server, "acme/empty", "0" * 40))
    base = shop(server, archived=True)
    with pytest.raises(SourceRefuses, match="archived"):
        await publish(order(server, "acme/shop", base))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (GitFault("receive-pack", lists_refs=True, status=403), "contents: write"),
        (GitFault("receive-pack", lists_refs=True, status=401), "missing, wrong or expired"),
        (
            GitFault(
                "receive-pack",
                refusal="refusing to allow an OAuth App to create or update workflow without `workflow` scope",
            ),
            "workflows",
        ),
        (
            GitFault("receive-pack", refusal="protected branch hook declined", remote_message="error: GH006:"),
            "protection",
        ),
        (
            GitFault("receive-pack", refusal="pre-receive hook declined", remote_message="error: GH013: Rule"),
            "rulesets",
        ),
        (GitFault("receive-pack", refusal="pre-receive hook declined"), "pre-receive hook declined"),
    ],
)
async def test_a_refused_push_says_why_and_leaves_nothing(server: GitHubServer, fault: GitFault, words: str) -> None:
    of = order(server, "acme/shop", shop(server))
    server.git.faults.append(fault)
    with pytest.raises(SourceRefuses, match=words):
        await publish(of)
    assert list(server.git.branches("acme/shop")) == ["main"]


@pytest.mark.parametrize("fault", [{"status": 502}, {"status": 429}, {"lost": True}])
@pytest.mark.parametrize("lists_refs", [True, False])
async def test_a_push_without_an_answer_is_looked_after_and_repeated(
    server: GitHubServer, fault: dict[str, int], lists_refs: bool
) -> None:
    of = order(server, "acme/shop", shop(server))
    server.git.faults.append(GitFault("receive-pack", lists_refs=lists_refs, **fault))  # type: ignore[arg-type]
    published = await publish(of)
    assert server.git.branch("acme/shop", BRANCH) == published.commit
    assert len(server.pulls("acme/shop")) == 1


async def test_a_branch_without_a_pull_request_is_deleted_or_named(server: GitHubServer) -> None:
    of = order(server, "acme/shop", shop(server))
    said: list[Pushed | None] = []
    server.faults[("POST", "/pulls")] = [Fault(403, "Resource not accessible by integration")]
    with pytest.raises(SourceRefuses, match="Resource not accessible"):
        await publish(of, branches=said)
    assert list(server.git.branches("acme/shop")) == ["main"]
    assert said[1:] == [None]
    said.clear()
    server.faults[("POST", "/pulls")] = [Fault(403, "Resource not accessible by integration")]
    server.faults[("DELETE", "/git/refs/{ref}")] = [Fault(403, "No")]
    with pytest.raises(SourceRefuses, match="Resource not accessible"):
        await publish(of, branches=said)
    assert said == [Pushed("acme/shop", BRANCH, server.git.branch("acme/shop", BRANCH) or "")]


async def test_a_branch_is_named_before_it_is_pushed(server: GitHubServer) -> None:
    of = order(server, "acme/shop", shop(server))
    said: list[Pushed | None] = []
    known: dict[str, int] = {}
    await publish(of, at_point=lambda name: known.update({name: len(said)}), branches=said)
    assert (known["committed"], known["pushed"]) == (0, 1)
    assert said == [Pushed("acme/shop", BRANCH, server.git.branch("acme/shop", BRANCH) or "")]


@pytest.mark.parametrize("point", ["committed", "pushed"])
async def test_cancelled_before_there_is_a_pull_request_the_branch_is_deleted(server: GitHubServer, point: str) -> None:
    of = order(server, "acme/shop", shop(server))
    said: list[Pushed | None] = []

    def cancel(name: str) -> None:
        task = asyncio.current_task()
        if name == point and task is not None:
            task.cancel()

    task = asyncio.create_task(publish(of, at_point=cancel, branches=said))
    await asyncio.wait({task})
    assert task.cancelled()
    assert list(server.git.branches("acme/shop")) == ["main"]
    assert said[-1] is None


async def test_a_branch_to_which_a_person_pushes_meanwhile_is_not_deleted(server: GitHubServer) -> None:
    of = order(server, "acme/shop", shop(server))
    server.faults[("POST", "/pulls")] = [Fault(403, "Resource not accessible by integration")]
    theirs: list[str] = []

    def commit(name: str) -> None:
        if name == "pushed":
            theirs.append(server.git.commit("acme/shop", {"README.md": "Theirs\n"}, branch=BRANCH))

    with pytest.raises(SourceRefuses, match="Resource not accessible"):
        await publish(of, at_point=commit)
    assert [server.git.branch("acme/shop", BRANCH)] == theirs


KINDS = [
    *(Fault(status, "No") for status in (403, 404, 409, 422)),
    Fault(429, "Later", {"Retry-After": "1"}),
    Fault(502),
    Fault(lost=True),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "lost" if kind.lost else str(kind.status))
async def test_whatever_a_call_is_answered_there_is_one_pull_request_and_one_issue(
    server: GitHubServer, kind: Fault
) -> None:
    rules = FixRules(issue=True)
    await publish(order(server, "acme/all", shop(server, "acme/all"), rules=rules))
    calls = len(server.calls)
    assert calls >= 6
    for number in range(calls):
        name = f"acme/shop{number}"
        of = order(server, name, shop(server, name), rules=rules)
        server.fault_at[len(server.calls) + number] = kind
        try:
            await publish(of)
        except (SourceRefuses, SourceUnavailable):
            assert not kind.lost
            assert kind.status < 429
            await publish(of)
        assert len(server.pulls(name)) == len(server.repositories[name].issues) == 1
        assert set(server.git.branches(name)) == {"main", BRANCH}


POINTS = (
    *("looked at the repository", "forked", "opened the issue", "cloned", "committed", "pushed"),
    "opened the pull request",
)


async def test_killed_at_any_point_and_started_again_there_is_one_of_everything(server: GitHubServer) -> None:
    rules = FixRules(issue=True, fork=True)
    reached: list[str] = []
    await publish(order(server, "acme/all", shop(server, "acme/all"), rules=rules), at_point=reached.append)
    assert tuple(reached) == POINTS
    for number, point in enumerate(POINTS):
        name = f"acme/shop{number}"
        of = order(server, name, shop(server, name), rules=rules)
        await publish_killed(of, point)
        published = await publish(of)
        assert len(server.pulls(name)) == len(server.repositories[name].issues) == 1
        assert server.git.branches(f"mona/shop{number}")[BRANCH] == published.commit
        assert list(server.git.branches(name)) == ["main"]


NEXT = change("total = 1", "total = 2")


def follow_up_order(server: GitHubServer, base: str, job: str = "job-2") -> JobOrder:
    asked = FollowUp(pr_number=1, requested_by="carl", request="Please use 2.")
    return order(server, "acme/shop", base, job_id=job, branch=BRANCH, follow_up=asked)


async def follow_up(server: GitHubServer, base: str, job: str = "job-2") -> Published:
    return await publish(follow_up_order(server, base, job), NEXT)


async def test_a_follow_up_adds_a_commit_to_the_pull_request_and_says_so_once(server: GitHubServer) -> None:
    base = shop(server)
    first = (await publish(order(server, "acme/shop", base))).commit
    assert not (await follow_up(server, first)).flags
    await follow_up(server, first)
    log = server.git.git("acme/shop", "log", "--format=%s", BRANCH).splitlines()
    assert log == ["Follow-up: The cart is empty", "Fix: The cart is empty", "A change"]
    assert len(server.pulls("acme/shop")) == 1
    (comment,) = server.repositories["acme/shop"].comments[1]
    assert "The change was made" in comment["body"]


async def test_a_follow_up_that_is_killed_or_gets_no_answer_adds_one_commit_and_one_comment(
    server: GitHubServer,
) -> None:
    first = (await publish(order(server, "acme/shop", shop(server)))).commit
    for point in ("looked at the pull request", "cloned", "committed", "pushed", "commented"):
        await publish_killed(follow_up_order(server, first), point, NEXT)
    server.faults[("POST", "/comments")] = [Fault(lost=True)]
    await follow_up(server, first)
    assert server.git.git("acme/shop", "rev-parse", f"{BRANCH}^") == first
    assert len(server.repositories["acme/shop"].comments[1]) == 1
    server.repositories["acme/shop"].comments.clear()
    await follow_up(server, first)
    assert len(server.repositories["acme/shop"].comments[1]) == 1
    assert len(server.pulls("acme/shop")) == 1


OTHER = Made(
    Patch(
        b"diff --git a/new.py b/new.py\nnew file mode 100644\n--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+x = 1\n",
        (FileChange("new.py", "added", "000000", "100644", 1, 0, "new.py"),),
    ),
    FixOutcome(files=("new.py",), added=1),
    "I added a file.",
)


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("made", [NEXT, OTHER], ids=["same", "other"])
async def test_a_follow_up_that_people_build_on_before_it_is_reported_is_not_made_again(
    server: GitHubServer, made: Made, merged: bool
) -> None:
    first = (await publish(order(server, "acme/shop", shop(server)))).commit
    await publish_killed(follow_up_order(server, first), "pushed", NEXT)
    ours = server.git.branch("acme/shop", BRANCH)
    assert ours is not None
    if merged:  # as `git pull` does: ours is the second parent
        tree = server.git.git("acme/shop", "rev-parse", f"{ours}^{{tree}}")
        parents = ["-p", server.git.commit("acme/shop", {"README.md": "Theirs\n"}), "-p", ours]
        theirs = server.git.git("acme/shop", "commit-tree", tree, *parents, "-m", "Merge")
        server.git.git("acme/shop", "update-ref", f"refs/heads/{BRANCH}", theirs)
    else:
        theirs = server.git.commit("acme/shop", {"README.md": "Theirs\n"}, branch=BRANCH)
    published = await publish(follow_up_order(server, first), made)
    assert (published.commit, server.git.branch("acme/shop", BRANCH)) == (ours, theirs)
    assert "An earlier launch" in published.flags[0]
    (comment,) = server.repositories["acme/shop"].comments[1]
    assert ours in comment["body"]
    assert "> I " not in comment["body"], "the comment tells of a change that was not published"


async def test_a_follow_up_begins_at_what_people_pushed_meanwhile(server: GitHubServer) -> None:
    base = shop(server)
    first = (await publish(order(server, "acme/shop", base))).commit
    theirs = server.git.commit("acme/shop", {"README.md": "Theirs\n"}, branch=BRANCH)
    published = await follow_up(server, first)
    assert server.git.git("acme/shop", "rev-parse", f"{BRANCH}^") == theirs
    (comment,) = server.repositories["acme/shop"].comments[1]
    said = f"The tests ran on {first[:12]}. The pull request has gone on to {theirs[:12]} since."
    assert said in published.flags[0]
    assert said in comment["body"].replace("\\", "").replace("`", "")
    server.git.commit("acme/shop", {"cart.py": "total = 9\n"}, branch=BRANCH)
    with pytest.raises(NoPatch, match="changed meanwhile"):
        await follow_up(server, first, "job-3")


async def test_a_follow_up_on_a_closed_pull_request_or_a_persons_branch_is_refused(server: GitHubServer) -> None:
    base = shop(server)
    await publish(order(server, "acme/shop", base))
    server.pulls("acme/shop")[0].head_branch = "main"
    with pytest.raises(SourceRefuses, match="not one of ours"):
        await follow_up(server, base)
    server.close("acme/shop", 1)
    with pytest.raises(SourceRefuses, match="not open any more"):
        await follow_up(server, base)
