"""What GitHub's API answers about repositories, people, issues and pull requests, with every field that it promises."""

from typing import Any
from urllib.parse import quote

AT = "2026-11-01T12:00:00Z"

_PERSON_URLS = {
    "followers_url": "followers",
    "following_url": "following{/other_user}",
    "gists_url": "gists{/gist_id}",
    "starred_url": "starred{/owner}{/repo}",
    "subscriptions_url": "subscriptions",
    "organizations_url": "orgs",
    "repos_url": "repos",
    "events_url": "events{/privacy}",
    "received_events_url": "received_events",
}
_REPOSITORY_URLS = {
    "archive_url": "{archive_format}{/ref}",
    "assignees_url": "assignees{/user}",
    "blobs_url": "git/blobs{/sha}",
    "branches_url": "branches{/branch}",
    "collaborators_url": "collaborators{/collaborator}",
    "comments_url": "comments{/number}",
    "commits_url": "commits{/sha}",
    "compare_url": "compare/{base}...{head}",
    "contents_url": "contents/{+path}",
    "contributors_url": "contributors",
    "deployments_url": "deployments",
    "downloads_url": "downloads",
    "events_url": "events",
    "forks_url": "forks",
    "git_commits_url": "git/commits{/sha}",
    "git_refs_url": "git/refs{/sha}",
    "git_tags_url": "git/tags{/sha}",
    "hooks_url": "hooks",
    "issue_comment_url": "issues/comments{/number}",
    "issue_events_url": "issues/events{/number}",
    "issues_url": "issues{/number}",
    "keys_url": "keys{/key_id}",
    "labels_url": "labels{/name}",
    "languages_url": "languages",
    "merges_url": "merges",
    "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}",
    "pulls_url": "pulls{/number}",
    "releases_url": "releases{/id}",
    "stargazers_url": "stargazers",
    "statuses_url": "statuses/{sha}",
    "subscribers_url": "subscribers",
    "subscription_url": "subscription",
    "tags_url": "tags",
    "teams_url": "teams",
    "trees_url": "git/trees{/sha}",
}


def person(web: str, api: str, login: str, *, bot: bool) -> dict[str, Any]:
    """Return a simple user."""
    url = f"{api}/users/{quote(login)}"
    number = 1 + sum(map(ord, login))
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"{web}/avatars/{number}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{web}/{quote(login)}",
        "type": "Bot" if bot else "User",
        "user_view_type": "public",
        "site_admin": False,
        **{name: f"{url}/{rest}" for name, rest in _PERSON_URLS.items()},
    }


def repository(web: str, api: str, name: str, owner: dict[str, Any], number: int, **fields: Any) -> dict[str, Any]:
    """Return a full repository; `fields` are those that differ from a public, empty one."""
    url = f"{api}/repos/{name}"
    return {
        "id": number,
        "node_id": f"R_{number}",
        "name": name.split("/")[1],
        "full_name": name,
        "owner": owner,
        "private": False,
        "html_url": f"{web}/{name}",
        "description": None,
        "fork": False,
        "url": url,
        **{field: f"{url}/{rest}" for field, rest in _REPOSITORY_URLS.items()},
        "clone_url": f"{web}/{name}.git",
        "git_url": f"git://{web.partition('://')[2]}/{name}.git",
        "ssh_url": f"git@{web.partition('://')[2]}:{name}.git",
        "svn_url": f"{web}/{name}",
        "homepage": None,
        "language": "Python",
        "mirror_url": None,
        "license": None,
        "default_branch": "main",
        "archived": False,
        "disabled": False,
        "has_issues": True,
        "has_projects": True,
        "has_wiki": True,
        "has_pages": False,
        "has_discussions": False,
        "has_downloads": True,
        "size": 0,
        **dict.fromkeys(("forks", "forks_count", "open_issues", "open_issues_count"), 0),
        **dict.fromkeys(("stargazers_count", "watchers", "watchers_count", "network_count", "subscribers_count"), 0),
        **dict.fromkeys(("pushed_at", "created_at", "updated_at"), AT),
        **fields,
    }


def issue(web: str, repository_url: str, name: str, number: int, user: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return an issue."""
    url = f"{repository_url}/issues/{number}"
    return {
        "id": 5_000_000 + number,
        "node_id": f"I_{number}",
        "number": number,
        "url": url,
        "repository_url": repository_url,
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{web}/{name}/issues/{number}",
        "user": user,
        "labels": [],
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "locked": False,
        "comments": 0,
        "closed_at": None,
        "created_at": AT,
        "updated_at": AT,
        "author_association": "NONE",
        **fields,
    }


def comment(issue_url: str, html_url: str, number: int, user: dict[str, Any], body: str) -> dict[str, Any]:
    """Return a comment on an issue or a pull request."""
    return {
        "id": number,
        "node_id": f"IC_{number}",
        "url": f"{issue_url.rpartition('/')[0]}/comments/{number}",
        "html_url": f"{html_url}#issuecomment-{number}",
        "issue_url": issue_url,
        "user": user,
        "body": body,
        "created_at": AT,
        "updated_at": AT,
        "author_association": "NONE",
    }


def pull_request(
    web: str, repository_url: str, name: str, number: int, head: dict[str, Any], base: dict[str, Any], **fields: Any
) -> dict[str, Any]:
    """Return a pull request, with the fields that only the whole one has."""
    url, issue_url = f"{repository_url}/pulls/{number}", f"{repository_url}/issues/{number}"
    html_url = f"{web}/{name}/pull/{number}"
    links = {
        "comments": f"{issue_url}/comments",
        "commits": f"{url}/commits",
        "statuses": f"{repository_url}/statuses/{head['sha']}",
        "html": html_url,
        "issue": issue_url,
        "review_comments": f"{url}/comments",
        "review_comment": f"{repository_url}/pulls/comments{{/number}}",
        "self": url,
    }
    return {
        "id": 9_000_000 + number,
        "node_id": f"PR_{number}",
        "number": number,
        "url": url,
        "html_url": html_url,
        "diff_url": f"{html_url}.diff",
        "patch_url": f"{html_url}.patch",
        "issue_url": issue_url,
        "comments_url": links["comments"],
        "commits_url": links["commits"],
        "statuses_url": links["statuses"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "_links": {kind: {"href": link} for kind, link in links.items()},
        "head": head,
        "base": base,
        "labels": [],
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "milestone": None,
        "locked": False,
        "auto_merge": None,
        "author_association": "NONE",
        "merge_commit_sha": None,
        "merged_by": None,
        "merged": False,
        "mergeable": True,
        "mergeable_state": "clean",
        "maintainer_can_modify": False,
        **dict.fromkeys(("additions", "changed_files", "deletions", "commits"), 1),
        **dict.fromkeys(("comments", "review_comments"), 0),
        **dict.fromkeys(("closed_at", "merged_at"), None),
        **dict.fromkeys(("created_at", "updated_at"), AT),
        **fields,
    }


WHOLE_ONLY = {
    *("additions", "changed_files", "deletions", "commits", "comments", "review_comments", "mergeable"),
    *("mergeable_state", "merged", "merged_by", "maintainer_can_modify"),
}
"""Fields of a pull request that lists leave out."""


def review(pull_url: str, html_url: str, number: int, user: dict[str, Any], state: str, body: str) -> dict[str, Any]:
    """Return a review of a pull request."""
    page = f"{html_url}#pullrequestreview-{number}"
    return {
        "id": number,
        "node_id": f"PRR_{number}",
        "user": user,
        "body": body,
        "state": state,
        "commit_id": "0" * 40,
        "html_url": page,
        "pull_request_url": pull_url,
        "_links": {"html": {"href": page}, "pull_request": {"href": pull_url}},
        "author_association": "MEMBER",
        "submitted_at": AT,
    }


def review_comment(of: dict[str, Any], number: int, path: str, line: int, body: str) -> dict[str, Any]:
    """Return a comment that belongs to a review."""
    url = f"{of['pull_request_url'].rpartition('/')[0]}/comments/{number}"
    page = f"{of['html_url'].partition('#')[0]}#discussion_r{number}"
    links = {"self": url, "html": page, "pull_request": of["pull_request_url"]}
    return {
        **{name: of[name] for name in ("user", "commit_id", "pull_request_url", "author_association")},
        "id": number,
        "node_id": f"PRRC_{number}",
        "url": url,
        "html_url": page,
        "body": body,
        "path": path,
        "line": line,
        "position": line,
        "original_position": line,
        "original_commit_id": of["commit_id"],
        "diff_hunk": "@@ -1 +1 @@",
        "pull_request_review_id": of["id"],
        "_links": {name: {"href": link} for name, link in links.items()},
        "created_at": AT,
        "updated_at": AT,
    }


def release(repository_url: str, html_url: str, number: int, user: dict[str, Any], tag: str, at: str) -> dict[str, Any]:
    """Return a release."""
    url = f"{repository_url}/releases/{number}"
    return {
        "id": number,
        "node_id": f"RE_{number}",
        "url": url,
        "html_url": f"{html_url}/releases/tag/{tag}",
        "assets_url": f"{url}/assets",
        "upload_url": f"{url}/assets{{?name,label}}",
        "tarball_url": f"{repository_url}/tarball/{tag}",
        "zipball_url": f"{repository_url}/zipball/{tag}",
        "tag_name": tag,
        "target_commitish": "main",
        "name": tag,
        "draft": False,
        "prerelease": False,
        "author": user,
        "assets": [],
        "created_at": at,
        "published_at": at,
    }


def check_run(repository_url: str, number: int, name: str, commit: str, conclusion: str | None) -> dict[str, Any]:
    """Return a check run; without a conclusion it is in progress."""
    return {
        "id": number,
        "node_id": f"CR_{number}",
        "head_sha": commit,
        "name": name,
        "url": f"{repository_url}/check-runs/{number}",
        "html_url": None,
        "details_url": None,
        "external_id": None,
        "status": "in_progress" if conclusion is None else "completed",
        "conclusion": conclusion,
        "started_at": AT,
        "completed_at": None if conclusion is None else AT,
        "check_suite": {"id": 1},
        "output": {
            "title": None,
            "summary": None,
            "text": None,
            "annotations_count": 0,
            "annotations_url": f"{repository_url}/check-runs/{number}/annotations",
        },
        "app": None,
        "pull_requests": [],
    }


def branch(repository_url: str, web_url: str, name: str, commit: str, user: dict[str, Any]) -> dict[str, Any]:
    """Return a branch with its newest commit ("Branch With Protection")."""
    at = f"{repository_url}/branches/{name}"
    signature = {"name": user["login"], "email": f"{user['login']}@example.org", "date": AT}
    return {
        "name": name,
        "commit": {
            "sha": commit,
            "node_id": "C_1",
            "url": f"{repository_url}/commits/{commit}",
            "html_url": f"{web_url}/commit/{commit}",
            "comments_url": f"{repository_url}/commits/{commit}/comments",
            "author": user,
            "committer": user,
            "parents": [],
            "commit": {
                "url": f"{repository_url}/git/commits/{commit}",
                "author": signature,
                "committer": signature,
                "message": "A change",
                "comment_count": 0,
                "tree": {"sha": commit, "url": f"{repository_url}/git/trees/{commit}"},
                "verification": {
                    "verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None,
                },
            },
        },
        "_links": {"html": f"{web_url}/tree/{name}", "self": at},
        "protected": False,
        "protection": {"enabled": False},
        "protection_url": f"{at}/protection",
    }  # fmt: skip
