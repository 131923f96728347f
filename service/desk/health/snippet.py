"""A form as a page can have it: plain HTML that posts to us, a line a field.

Invariant: pure; whatever the configuration says is escaped.
"""

from html import escape
from typing import Final

from service.model.form import Field, Form

_TYPES: Final = {"phone": "tel", "email": "email", "number": "number", "date": "date"}
_FILLED_IN: Final = {"phone": "tel", "email": "email"}


def snippet(form: Form, service: str) -> str:
    """Return the lines for a page; `service` is the origin under which visitors find us."""
    action = f'<form action="{escape(service)}/f/{form.name}" method="post" accept-charset="utf-8">'
    return "\n".join(
        [action, *(f"  {_line(field)}" for field in form.fields.values()), "  <button>Send</button>", "</form>"]
    )


def _line(field: Field) -> str:
    label, name = escape(field.label or field.words), escape(field.name)
    needed = " required" if field.required else ""
    choices = [(escape(choice), escape(field.label_of(choice))) for choice in field.choices]
    match field.type:
        case "boolean":
            return f'<label><input type="checkbox" name="{name}" value="true"{needed}> {label}</label>'
        case "choices":
            boxes = (
                f'<label><input type="checkbox" name="{name}" value="{value}"> {text}</label>'
                for value, text in choices
            )
            return f"<fieldset><legend>{label}</legend> {' '.join(boxes)}</fieldset>"
        case "choice":
            options = "".join(f'<option value="{value}">{text}</option>' for value, text in choices)
            return f'<label>{label} <select name="{name}"{needed}><option value=""></option>{options}</select></label>'
        case "text" if field.multiline:
            return f'<label>{label} <textarea name="{name}"{needed}></textarea></label>'
        case _:
            type_ = f' type="{_TYPES[field.type]}"' if field.type in _TYPES else ""
            hint = f' autocomplete="{_FILLED_IN[field.type]}"' if field.type in _FILLED_IN else ""
            return f'<label>{label} <input name="{name}"{type_}{hint}{needed}></label>'
