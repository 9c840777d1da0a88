from pathlib import Path

import pytest

from podworker.configuration import load_settings
from podworker.errors import InvalidSettings
from podworker.inference.prompt_cache_prompts import ChatPrompt, TextPrompt, WarmPrompt, read_warm_prompts

SYSTEM = '{"messages": [{"role": "system", "content": "Be brief."}]}'


def read(value: str | None) -> tuple[WarmPrompt, ...]:
    return read_warm_prompts(load_settings(warm_prompts=value))


def test_unset() -> None:
    assert read(None) == ()


def test_texts_and_chats() -> None:
    text, same, chat = read(f'\n ["Once", {{"prompt": "Twice"}}, {SYSTEM}]')

    assert (text, same) == (TextPrompt(prompt="Once"), TextPrompt(prompt="Twice"))
    assert isinstance(chat, ChatPrompt)
    assert chat.template_body() == {"messages": [{"role": "system", "content": "Be brief."}]}


def test_each_is_kept_once() -> None:
    assert len(read(f'["Once", {SYSTEM}, "Once", {SYSTEM}]')) == 2


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.json"
    file.write_text('["Schöne Grüße"]', encoding="utf-8-sig")
    assert read(str(file)) == (TextPrompt(prompt="Schöne Grüße"),)


def test_what_the_template_reads_is_kept() -> None:
    (prompt,) = read(
        '[{"messages": [{"role": "system", "content": [{"type": "text", "text": "Hi"}]}], "tools": [{"a": 1}], '
        '"chat_template_kwargs": {"enable_thinking": false}}]'
    )
    assert isinstance(prompt, ChatPrompt)
    assert prompt.template_body() == {
        "messages": [{"role": "system", "content": [{"type": "text", "text": "Hi"}]}],
        "tools": [{"a": 1}],
        "chat_template_kwargs": {"enable_thinking": False},
    }


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("[", "is not JSON (line 1, column 2"),
        ('["swordfish"', "is not JSON"),
        ('[""]', "is wrong at [0].prompt: String should have at least 1 character"),
        ('["a", 5]', "is wrong at [1]: Input should be"),
        ('[{"prompt": "swordfish", "stop": 1}]', "is wrong at [0].stop: Extra inputs are not permitted"),
        ('[{"messages": "swordfish"}]', "is wrong at [0].messages: Input should be a valid list"),
        ('[{"messages": []}]', "is wrong at [0].messages: List should have at least 1 item"),
        ('[{"messages": [{"role": "swordfish"}]}]', "is wrong at [0].messages[0].content: Field required"),
        ("swordfish.json", "is neither a JSON list nor the path of a file that exists"),
        ("/", "names a file that cannot be read (Is a directory)"),
        ("a\0b", "names no file of UTF-8 text"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_quoted(value: str, problem: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        read(value)
    assert caught.value.message.startswith(f"WARM_PROMPTS {problem}")
    assert "swordfish" not in caught.value.message
    assert "Write a JSON list of prompts" in caught.value.message
    assert caught.value.param == "WARM_PROMPTS"


def test_a_file_that_holds_something_else(tmp_path: Path) -> None:
    for content, problem in ((b"{}", "is not a list"), (b"\xff", "names no file of UTF-8 text"), (b"", "is not JSON")):
        (tmp_path / "prompts.json").write_bytes(content)
        with pytest.raises(InvalidSettings, match=problem):
            read(str(tmp_path / "prompts.json"))
