"""The tag that all carries that we make, and without which we touch nothing."""

from collections.abc import Iterable, Mapping

PROJECT_TAG = "face-blur:project"


def our_tags(project: str) -> list[dict[str, str]]:
    """The tags of something new, as most services want them.

    >>> our_tags("news")
    [{'Key': 'face-blur:project', 'Value': 'news'}]
    """
    return [{"Key": PROJECT_TAG, "Value": project}]


def is_ours(tags: Iterable[Mapping[str, str]], project: str) -> bool:
    """Whether tags, as most services list them, are those of something of this project.

    >>> is_ours([{"Key": "face-blur:project", "Value": "other"}], "news")
    False
    """
    return any(tag.get("Key") == PROJECT_TAG and tag.get("Value") == project for tag in tags)
