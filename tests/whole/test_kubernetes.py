"""deploy/kubernetes: what the API takes, what a container may do, and probes and ends tried with real processes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]  # it has no stubs of its own
import pytest
import yaml  # type: ignore[import-untyped]  # it has no stubs of its own
from processes import ENVIRON, ROOT, Processes, answers, free_port, request, until
from workshop import destination, form

from service.up.embedded import Embedded

FOLDER: Final = ROOT / "deploy" / "kubernetes"
CONFIG: Final = form() + destination("http://127.0.0.1:9/hooks").replace("$CRM_SECRET", "$CRM_WEBHOOK_SECRET")
DOCUMENTS: Final[list[dict[str, Any]]] = [
    document for path in sorted(FOLDER.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text("utf-8"))
]
PODS: Final = {
    document["metadata"]["name"]: document["spec"]["template"]["spec"]
    for document in DOCUMENTS
    if document["kind"] in {"Deployment", "StatefulSet"}
}
SECRETS: Final = {"secret": ENVIRON["LEADS_SECRET"], "crm-webhook-secret": ENVIRON["CRM_SECRET"]}


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [document for document in DOCUMENTS if document["kind"] == kind]


@pytest.mark.parametrize("version", ["1.34", "1.37"])
def test_the_api_would_take_every_document(version: str) -> None:
    resources = [each for each in DOCUMENTS if each["kind"] != "Kustomization"]
    assert len(resources) > 6
    for document in resources:
        kubernetes_validate.validate(document, version, strict=True)
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate({**document, "nonsense": 1}, version, strict=True)


def test_the_kustomization_names_every_file_and_the_file_of_forms_is_the_sample() -> None:
    [kustomization] = of_kind("Kustomization")
    assert {*kustomization["resources"], "kustomization.yaml"} == {path.name for path in FOLDER.glob("*.yaml")}
    assert kustomization["configMapGenerator"][0]["files"] == ["leads.toml"]
    assert (FOLDER / "leads.toml").read_bytes() == (ROOT / "leads.toml").read_bytes()


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_container_may_do_little_and_secrets_are_files(name: str) -> None:
    pod = PODS[name]
    [container] = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all("secret" not in each["name"].lower() or each["name"].endswith("_FILE") for each in container["env"])
    assert not any("valueFrom" in each for each in container["env"])
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert all(any(each["value"].startswith(mount) for mount in mounts) for each in container["env"])
    assert container["resources"]["limits"]["memory"]


def test_every_pod_is_found_by_its_policy_its_budget_and_its_service() -> None:
    labels = {f"leads-{part}" for part in ("web", "worker", "desk")}
    assert set(PODS) == labels
    for kind, path in (("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector")):
        assert {each["spec"][path]["matchLabels"]["app"] for each in of_kind(kind)} == labels
    assert {each["spec"]["selector"]["app"] for each in of_kind("Service")} == {"leads-web", "leads-desk"}
    [scaler] = of_kind("HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "leads-web"


@pytest.fixture
def here(tmp_path: Path, own_redis: Embedded) -> Iterator[Processes]:
    for name, value in {**SECRETS, "redis-url": own_redis.url}.items():
        (tmp_path / name).write_text(value)
    with Processes(tmp_path / "here", own_redis.url, CONFIG) as opened:
        for name in ("LEADS_REDIS_URL", *ENVIRON):
            del opened.environ[name]
        yield opened


@pytest.mark.parametrize("name", sorted(PODS))
def test_the_probes_are_answered_and_the_end_comes_within_its_time(
    name: str, here: Processes, own_redis: Embedded, tmp_path: Path
) -> None:
    pod, port = PODS[name], free_port()
    [container] = pod["containers"]
    for each in container["env"]:
        is_file = each["name"].endswith("_FILE")
        here.environ[each["name"]] = str(tmp_path / (Path(each["value"]).name if is_file else "spool"))
    said = [{"0.0.0.0": "127.0.0.1", str(container["ports"][0]["containerPort"]): str(port)}.get(each, each)
            for each in container["args"]]  # fmt: skip
    process = here.start(*said, port=port)
    startup = container["startupProbe"]
    until(
        lambda: answers(port, startup["httpGet"]["path"]) == 200, startup["periodSeconds"] * startup["failureThreshold"]
    )
    for probe in (container["livenessProbe"], container["readinessProbe"]):
        path, within = probe["httpGet"]["path"], probe["timeoutSeconds"]
        assert request(port, "GET", path, timeout=within).status == 200
    own_redis.stop()
    began = time.monotonic()
    assert answers(port, container["livenessProbe"]["httpGet"]["path"]) == 200, "a restart would not bring Redis back"
    expected = 503 if name == "leads-worker" else 200
    until(lambda: answers(port, container["readinessProbe"]["httpGet"]["path"]) == expected)
    assert time.monotonic() - began < 20
    began = time.monotonic()
    process.stop()
    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert time.monotonic() - began < pod["terminationGracePeriodSeconds"] - pause
