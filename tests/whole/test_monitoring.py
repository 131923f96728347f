"""The alerts and the dashboard ask for figures that there are, and each alert is raised by what it is for."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no stubs of its own
from prometheus_client.parser import text_string_to_metric_families

from service.process.metrics import RESULTS, WebFigures, WorkerFigures
from service.store.accounts import Accounts, DestinationAccount, FormAccount

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "leads.rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "leads.json"
MINUTES = 60


def alerts() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def figures() -> Mapping[str, set[str]]:
    """Return the labels of each figure that web part and worker give."""
    web, worker = WebFigures(is_shared=False, forms=["f"]), WorkerFigures()
    web.submission("f", "refused", ("CODE",))
    worker._attempts.labels("crm", "delivered").inc()
    worker._seconds.labels("crm").observe(1)
    account = DestinationAccount(owed=1, waiting=1, oldest_waiting_s=1.0)
    whole = Accounts(forms={"f": FormAccount(received=1, created=1, destinations={"crm": account})})
    text = (web.render() + worker.render(whole)).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {sample.name: set(sample.labels) for sample in samples}


def asked() -> list[tuple[str, str]]:
    """Return every expression with what is said about its result."""
    said = [(alert["expr"], " ".join(alert["annotations"].values())) for alert in alerts()]
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return said + [(each["expr"], each["legendFormat"]) for panel in panels for each in panel["targets"]]


@pytest.mark.parametrize(("expression", "legend"), asked())
def test_every_figure_that_is_asked_for_exists_with_its_labels(expression: str, legend: str) -> None:
    there_are = figures()
    named = set(re.findall(r"\bleads_\w+", expression))
    assert named
    assert named <= there_are.keys()
    labels = set.intersection(*(there_are[name] for name in named))
    groups = [re.split(r",\s*", each) for each in re.findall(r"by \(([^)]+)\)", expression)]
    wanted = {label for group in groups for label in group} | set(re.findall(r'(\w+)=~?"', expression))
    assert wanted <= labels
    shown = set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", legend))
    assert shown <= {label for group in groups for label in group}
    for results in re.findall(r'result=~?"([^"]+)"', expression):
        assert set(results.split("|")) <= set(RESULTS)


def test_every_alert_names_a_place_in_the_documentation_that_exists() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    places = {
        re.sub(r"[^a-z0-9 -]", "", head.casefold()).replace(" ", "-")
        for head in re.findall(r"^## (.*)$", page, re.MULTILINE)
    }
    for alert in alerts():
        file, _, place = alert["annotations"]["todo"].partition("#")
        assert (file, place in places) == ("docs/operations.md", True), place


# What Prometheus would have scraped every minute, and the alert that is then raised after an hour, and no other.
QUIET = {
    'leads_account_balanced{form="f"}': "1x12960",
    'leads_submissions_total{form="f", result="created"}': "0+1x12960",
    'leads_oldest_waiting_seconds{form="f", destination="crm"}': "3x12960",
}
TROUBLE = {
    "LeadsVisitorsAreNotThanked": {'leads_submissions_total{form="f", result="unavailable"}': "0x57 1x3"},
    "LeadsGoToTheSpool": {'leads_submissions_total{form="f", result="spooled"}': "0x30 0+1x30"},
    "LeadsNoWorker": {'leads_account_balanced{form="f"}': "1x30"},
    "LeadsWaitTooLong": {'leads_oldest_waiting_seconds{form="f", destination="crm"}': "0+60x60"},
    "LeadsDestinationIsPaused": {'leads_destination_paused{destination="crm"}': "0x40 1x20"},
    "LeadsAreDead": {'leads_dead{form="f", destination="crm"}': "0x58 2x2"},
    "LeadsDoNotAddUp": {'leads_account_balanced{form="f"}': "0x60"},
    "LeadsFormIsSilent": {'leads_submissions_total{form="f", result="created"}': "0+1x11520 11520x1440"},
}
LATER = {"LeadsFormIsSilent": "9d"}


@pytest.mark.long
@pytest.mark.parametrize("raised", [None, *TROUBLE])
def test_promtool_says_that_an_alert_is_raised_by_what_it_is_for(raised: str | None, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here: apt-get install prometheus")
    series = QUIET | (TROUBLE[raised] if raised else {})
    known = {alert["alert"]: alert for alert in alerts()}
    tests = {
        "rule_files": [str(RULES)],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})',
                        "eval_time": LATER.get(raised or "", "1h"),
                        "exp_samples": [{"labels": "{}", "value": 1}] if name == raised else [],
                    }
                    for name in known
                ],
            }
        ],
    }  # fmt: skip
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
    for words in (["check", "rules", str(RULES)], ["test", "rules", str(tmp_path / "tests.yml")]):
        done = subprocess.run([promtool, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
