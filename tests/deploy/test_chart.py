"""The chart and the plain manifests, by the real helm and the schemas of Kubernetes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # uvicorn brings it
from tests.deploy.manifests import FOLDER, TARGETS, plain_manifests
from tests.deploy.programs import (
    CHART,
    DEPLOY,
    HELM,
    KUSTOMIZE,
    NEWEST,
    OLDEST,
    RENDERED,
    Manifest,
    container,
    find,
    parse,
    render,
    run,
)
from tests.parts import need_package

from wherry import __version__
from wherry.cli import app
from wherry.settings import Settings

VALUES = sorted((CHART / "ci").glob("*.yaml"))
SMALLEST = CHART / "ci" / "smallest.yaml"
EVERYTHING = CHART / "ci" / "everything.yaml"
USUAL = CHART / "ci" / "secrets-of-yours.yaml"

of_each_values = pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)


def check_against_schemas(manifests: Sequence[Manifest]) -> None:
    """Unknown fields are errors, too."""
    need_package("kubernetes_validate")
    import kubernetes_validate  # type: ignore[import-untyped]

    for manifest in manifests:
        for version in (OLDEST, RENDERED, NEWEST):
            kubernetes_validate.validate(manifest, version, strict=True)


def kinds(manifests: Sequence[Manifest]) -> list[str]:
    return sorted(manifest["kind"] for manifest in manifests)


def test_the_versions_are_those_of_the_makefile() -> None:
    from tests.deploy import programs

    makefile = (DEPLOY.parent / "Makefile").read_text(encoding="utf-8")
    for name in ("HELM", "KUSTOMIZE", "COMPOSE_GO"):
        [version] = re.findall(rf"^{name}_VERSION := (.*)$", makefile, re.M)
        assert f"-{version}/" in getattr(programs, name)


@of_each_values
def test_helm_finds_nothing_to_complain_of(values: Path) -> None:
    said = run(HELM, "lint", "--strict", CHART, "--kube-version", RENDERED, "-f", values)
    assert "0 chart(s) failed" in said


@of_each_values
def test_every_rendered_manifest_keeps_the_schemas_of_kubernetes(values: Path) -> None:
    check_against_schemas(parse(render(values)))


def test_a_manifest_with_an_unknown_field_would_be_found() -> None:
    service = find(parse(render(USUAL)), "Service")
    service["spec"]["sessionAffinityy"] = "None"
    with pytest.raises(Exception, match="sessionAffinityy"):
        check_against_schemas([service])


def test_everything_that_can_be_turned_off_is_off() -> None:
    assert kinds(parse(render(SMALLEST))) == ["ConfigMap", "Deployment", "Service"]


def test_everything_that_can_be_turned_on_is_on() -> None:
    assert kinds(parse(render(EVERYTHING))) == [
        *("ConfigMap", "Deployment", "Deployment", "HorizontalPodAutoscaler"),
        *("HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy", "NetworkPolicy"),
        *("PodDisruptionBudget", "Secret", "Secret", "Service", "ServiceAccount"),
    ]


@of_each_values
def test_every_container_is_without_privileges(values: Path) -> None:
    for manifest in parse(render(values)):
        if manifest["kind"] not in ("Deployment", "Job"):
            continue
        pod = manifest["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        security = container(manifest)["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        mounted = {mount["mountPath"] for mount in container(manifest)["volumeMounts"]}
        assert {"/var/lib/wherry", "/tmp"} <= mounted


@of_each_values
def test_every_command_of_a_pod_is_one_of_wherry(values: Path) -> None:
    known = {c.name or getattr(c.callback, "__name__", "") for c in app.registered_commands}
    for manifest in parse(render(values)):
        if manifest["kind"] in ("Deployment", "Job"):
            assert container(manifest)["args"][0] in known


@of_each_values
def test_the_user_of_the_pods_is_the_one_of_the_image(values: Path) -> None:
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
    [(user, group)] = re.findall(r"^USER (\d+):(\d+)$", dockerfile, re.M)
    for manifest in parse(render(values)):
        if manifest["kind"] in ("Deployment", "Job"):
            security = manifest["spec"]["template"]["spec"]["securityContext"]
            assert (security["runAsUser"], security["runAsGroup"]) == (int(user), int(group))


@of_each_values
def test_the_server_ends_before_it_is_killed(values: Path) -> None:
    manifests = parse(render(values))
    web = find(manifests, "Deployment", "-web")
    data = find(manifests, "ConfigMap")["data"]
    killed_after = web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    stop_delay, grace = float(data["WHERRY_STOP_DELAY"]), float(data["WHERRY_GRACE_PERIOD"])
    assert stop_delay < grace < killed_after


@of_each_values
def test_the_server_accepts_the_settings(values: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = find(parse(render(values)), "ConfigMap")["data"]
    for name, value in data.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WHERRY_DATABASE", "postgresql://wherry@db.example.org/wherry")
    assert Settings.unknown_variables(data) == []
    settings = Settings()
    has_workers = any("-worker" in m["metadata"]["name"] for m in parse(render(values)))
    assert settings.run_worker is not has_workers
    assert settings.storage == data["WHERRY_STORAGE"]
    if values == EVERYTHING:
        assert settings.max_size == 2 << 30
        assert (settings.max_open, settings.max_waiting) == (100, 1_000_000)
        assert settings.keep_files == 604800
        assert settings.expires_after == 0.5
        assert settings.allowed_types == ("video/*", "audio/*")
        assert settings.assessment is True


@of_each_values
def test_the_selectors_find_the_pods_and_no_others(values: Path) -> None:
    manifests = parse(render(values))
    service = find(manifests, "Service")["spec"]["selector"].items()
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "Job"):
            labels = manifest["spec"]["template"]["metadata"]["labels"].items()
            is_web = manifest["metadata"]["name"].endswith("-web")
            assert (service <= labels) == is_web
            if manifest["kind"] == "Deployment":
                assert manifest["spec"]["selector"]["matchLabels"].items() <= labels


@of_each_values
def test_every_secret_that_a_pod_names_is_made_or_is_yours(values: Path) -> None:
    manifests = parse(render(values))
    given = yaml.safe_load(values.read_text(encoding="utf-8"))
    known = {m["metadata"]["name"] for m in manifests if m["kind"] == "Secret"}
    parts = ("database", "storage", "keys", "webhooks")
    known |= {given.get(part, {}).get("existingSecret") for part in parts}
    named = set(re.findall(r"secretKeyRef:\s+name: (\S+)", render(values)))
    named |= set(re.findall(r"secretRef: \{name: (\S+)\}", render(values)))
    named |= set(re.findall(r"secretName: ([\w-]+), defaultMode", render(values)))
    assert len(named) >= 2
    assert named <= known


def test_a_changed_setting_replaces_the_pods() -> None:
    def annotations(*more: str) -> object:
        web = find(parse(render(USUAL, *more)), "Deployment", "-web")
        return web["spec"]["template"]["metadata"]["annotations"]

    assert annotations() != annotations("--set", "settings.max_open=7")


def test_a_number_of_pods_is_left_to_the_autoscaler() -> None:
    for name in ("-web", "-worker"):
        assert "replicas" in find(parse(render(USUAL)), "Deployment", name)["spec"]
        assert "replicas" not in find(parse(render(EVERYTHING)), "Deployment", name)["spec"]


def test_the_workers_scale_by_a_metric_that_there_is_unless_told_otherwise() -> None:
    from tests.watching.conftest import samples

    from wherry.catalog.counts import Counts
    from wherry.core.admission import Space
    from wherry.metrics import Metrics, Reading

    rendered = render(USUAL, "--set", "worker.autoscaling.enabled=true")
    scaler = find(parse(rendered), "HorizontalPodAutoscaler", "-worker")
    [metric] = [m["external"]["metric"] for m in scaler["spec"]["metrics"] if "external" in m]
    reading = Reading(1000.0, Counts(), Space(total=10, free=5), min_free=1, max_open=10)
    exported = samples(Metrics().render(reading).decode())
    wanted = metric["selector"]["matchLabels"].items()
    found = [dict(labels) for name, labels in exported if name == metric["name"]]
    assert [labels for labels in found if wanted <= labels.items()]
    without = render(
        USUAL, "--set", "worker.autoscaling.enabled=true,worker.autoscaling.queuedPerWorker=null"
    )
    assert "External" not in without


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("keys.existingSecret=", "keys/existingSecret"),
        ("database.existingSecret=", "database"),
        ("storage.url=uploads", "storage/url"),
        ("settings.database=postgresql://db/wherry", "settings/database"),
        ("settings.MAX_OPEN=3", "'MAX_OPEN'"),
        ("wbe.replicas=3", "wbe"),
        ("web.replicas=none", "web/replicas"),
        ("ingress.enabled=true", "ingress/host"),
    ],
)
def test_wrong_values_are_refused(wrong: str, complaint: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render(USUAL, "--set", wrong)
    assert complaint in refused.value.stderr


def test_the_version_of_the_chart_is_the_one_of_wherry() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__


@pytest.mark.parametrize("target", TARGETS, ids=lambda path: path.name)
def test_the_plain_manifests_are_those_of_the_chart(target: Path) -> None:
    made = plain_manifests(target)
    assert target.read_text(encoding="utf-8") == made, "run: make manifests"
    check_against_schemas(parse(made))
    assert "helm.sh" not in made, "only Helm runs hooks"


def test_kustomize_makes_manifests_that_keep_the_schemas_of_kubernetes() -> None:
    manifests = parse(run(KUSTOMIZE, "build", FOLDER))
    assert kinds(manifests) == kinds(parse(plain_manifests(FOLDER / "wherry.yaml")))
    check_against_schemas(manifests)
    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {"wherry"}
    for name in ("-web", "-worker"):
        image = container(find(manifests, "Deployment", name))["image"]
        assert image == "registry.example.org/wherry:latest"
        assert find(manifests, "Deployment", name)["spec"]["replicas"] == 2
    # The patch, which is what people change first, reaches its object.
    assert find(manifests, "ConfigMap")["data"]["WHERRY_STORAGE"] == "s3://bucket/prefix"


def test_a_migration_and_autoscalers_are_there_for_who_wants_them(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "kubernetes"))
    (file := folder / "kustomization.yaml").write_text(
        re.sub(r"^# (components:|  - \w+$)", r"\1", file.read_text(encoding="utf-8"), flags=re.M),
        encoding="utf-8",
    )
    manifests = parse(run(KUSTOMIZE, "build", folder))
    check_against_schemas(manifests)
    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {"wherry"}
    job = find(manifests, "Job")
    assert container(job)["args"] == ["migrate"]
    assert container(job)["image"] == "registry.example.org/wherry:latest"
    # What `kubectl apply --selector` chooses it by, before it applies the rest.
    component = "app.kubernetes.io/component"
    labelled = [m for m in manifests if m["metadata"]["labels"].get(component) == "migration"]
    assert labelled == [job]
    for name in ("-web", "-worker"):
        scaler = find(manifests, "HorizontalPodAutoscaler", name)["spec"]
        deployment = find(manifests, "Deployment", name)
        assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
        assert "replicas" not in deployment["spec"]


def test_only_web_pods_get_the_secret_of_webhooks() -> None:
    rendered = parse(render(EVERYTHING))
    for name, is_sending in (("-web", True), ("-worker", False)):
        own = container(find(rendered, "Deployment", name))["env"]
        assert ("WHERRY_WEBHOOK_SECRET" in [each["name"] for each in own]) is is_sending
