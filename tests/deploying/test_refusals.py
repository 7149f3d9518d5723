"""What would go wrong in a cluster is refused while it is rendered, or said."""

import re
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import SecretStr

from sidecar.settings import Settings, variable
from tests.deploying.charts import CHART, Manifest, container, helm, of_kind, pods, rendered

TRIAL = CHART / "examples/values-trial.yaml"
PLATFORM = CHART / "examples/values-platform.yaml"
FREE = {
    "global", "resources", "affinity", "tolerations[]", "extraEnv[]", "extraVolumes[]",
    "extraVolumeMounts[]", "networkPolicy.from[]", "networkPolicy.metricsFrom[]",
    "networkPolicy.to[]",
}  # fmt: skip
"""What is Kubernetes' own, and judged by Kubernetes; and what belongs to a parent chart."""


def refused(values: Path, *settings: str) -> str:
    """What helm says of these values."""
    given = [word for each in settings for word in ("--set", each)]
    done = helm("template", "demo", CHART, "--values", values, *given)
    assert done.returncode != 0, settings
    return done.stderr


def objects(schema: Manifest, path: str = "") -> list[tuple[str, Manifest]]:
    """Each object of a schema by its path."""
    found = [(path, schema)] if schema.get("type") == "object" else []
    for name, part in schema.get("properties", {}).items():
        found += objects(part, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        found += objects(schema["items"], f"{path}[]")
    return found


def test_the_schema_is_closed_at_every_level() -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    every = objects(schema)

    opened = {path for path, part in every if part.get("additionalProperties", True) is True}
    assert opened == FREE
    assert len(every) > 30


def secrets_of_settings() -> set[str]:
    def is_secret(annotation: Any) -> bool:
        return annotation is SecretStr or any(map(is_secret, get_args(annotation)))

    fields = Settings.model_fields.items()
    return {variable(name) for name, field in fields if is_secret(field.annotation)}


def owned() -> dict[str, str]:
    """What the chart sets itself, and the value that says it."""
    text = (CHART / "templates/_container.tpl").read_text()
    (words,) = re.findall(r"\$owned := dict (.*?) -\}\}", text)
    told = re.findall(r'"([^"]*)"', words)
    return dict(zip(told[::2], told[1::2], strict=True))


@pytest.mark.parametrize("name", sorted(secrets_of_settings()))
def test_a_secret_does_not_stand_in_values(name: str) -> None:
    told = refused(TRIAL, f"settings.{name}=hush")

    where = "keys" if name in owned() else "secretSettings"
    assert f"settings.{name}: a secret does not stand in values" in told
    assert f"name the secret that has it in {where}" in told


def test_what_a_value_of_its_own_says_is_said_there() -> None:
    for name, value in owned().items():
        if name not in secrets_of_settings():
            assert f"settings.{name}: say it in {value}" in refused(TRIAL, f"settings.{name}=1")
        reference = f"secretSettings.{name}.name=s,secretSettings.{name}.key=k"
        assert f"secretSettings.{name}: say it in {value}" in refused(TRIAL, reference)


def test_every_other_setting_can_be_given(tmp_path: Path) -> None:
    names = {variable(name) for name in Settings.model_fields} - owned().keys()
    secret = names & secrets_of_settings()
    values = yaml.safe_load(TRIAL.read_text()) | {
        "settings": dict.fromkeys(sorted(names - secret), "1"),
        "secretSettings": {name: {"name": "some", "key": name} for name in secret},
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    env = {each["name"]: each for each in container(rendered(file))["env"]}

    assert env.keys() >= names
    assert len(container(rendered(file))["env"]) == len(env), "each stands there once"
    for name in secret:
        assert env[name]["valueFrom"] == {"secretKeyRef": {"name": "some", "key": name}}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["autoscaling.min=13"], "autoscaling.min: more than autoscaling.max"),
        (["resources.requests.cpu=null"], "resources.requests.cpu: a share of it"),
        (["keys.runtime=", "keys.internal="], "one of them at least, or nobody may ask"),
        (["networkPolicy.to=null"], "networkPolicy.to: nothing leads to the Redis"),
        (["disruption.maxUnavailable=half"], "maxUnavailable"),
        (["sidecar.socketMode=rw"], "socketMode"),
        (["sidecar.socket=/run/a b/s"], "socket"),
    ],
)
def test_what_could_never_run_is_refused(settings: list[str], told: str) -> None:
    assert told in refused(PLATFORM, *settings)


def test_the_trial_redis_answers_the_sidecar_alone() -> None:
    policies = of_kind(rendered(TRIAL, "--set", "networkPolicy.enabled=true"), "NetworkPolicy")

    redis = next(each for each in policies if each["metadata"]["name"].endswith("-redis"))
    (rule,) = redis["spec"]["ingress"]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "sidecar"
    # It asks nobody.
    assert redis["spec"].get("egress") is None
    assert "Egress" in redis["spec"]["policyTypes"]


def test_a_key_that_is_named_must_be_there_and_one_that_is_not_is_left_out() -> None:
    own = CHART / "examples/values-own-policies.yaml"
    env = {each["name"]: each for each in container(rendered(own, "--set", "keys.read="))["env"]}

    # Without it a misspelled key of a secret would start a server that takes whoever comes.
    reference = env["SIDECAR_RUNTIME_KEYS"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "sidecar-keys", "key": "runtime"}
    assert "SIDECAR_READ_KEYS" not in env


def test_hooks_run_where_the_release_runs() -> None:
    placing = ("--set", "nodeSelector.pool=own", "--set", "tolerations[0].key=own")
    own = CHART / "examples/values-own-policies.yaml"
    found = list(pods(rendered(own, *placing)))

    assert len(found) == 3
    for name, pod in found:
        assert pod["nodeSelector"] == {"pool": "own"}, name
        assert pod["tolerations"] == [{"key": "own"}], name
        # A service called sidecar would put SIDECAR_PORT and the like into the environment.
        assert pod["enableServiceLinks"] is False, name


def notes(folder: Path, *settings: str) -> str:
    """What helm says after an install; without a cluster it tells it in a manifest alone."""
    chart = folder / "chart"
    shutil.copytree(CHART, chart)
    text = (chart / "templates/NOTES.txt").read_text()
    (chart / "templates/told.yaml").write_text(
        f'{{{{- define "told" -}}}}\n{text}{{{{- end -}}}}\n'
        'kind: Told\ntext: {{ include "told" . | quote }}\n'
    )
    given = [word for each in settings for word in ("--set", each)]
    (told,) = of_kind(rendered(chart / "values.yaml", *given, chart=chart), "Told")
    return str(told["text"])


def test_after_a_shared_install_it_is_said_how_to_ask(tmp_path: Path) -> None:
    told = notes(tmp_path, "keys.insecure=true", "store.redis.trial.enabled=true",
                 "networkPolicy.enabled=true")  # fmt: skip

    assert "helm test demo" in told
    assert "it takes whoever comes, without a key" in told
    assert "keeps nothing on a disk" in told
    assert "nobody may reach it (networkPolicy.from is empty)" in told


def test_of_a_file_it_is_said_that_its_volume_stays(tmp_path: Path) -> None:
    told = notes(tmp_path, "keys.secret=k", "store.kind=sqlite", "replicas=1")

    assert "kubectl delete pvc --namespace shop demo-mozaiks-sidecar" in told
    assert "NOTE: its Redis" not in told


def test_of_a_runtimes_own_pods_it_is_said_where_to_ask(tmp_path: Path) -> None:
    for part in ("socket", "loopback"):
        (tmp_path / part).mkdir()
    shared = ("topology=sidecar", "store.redis.secret.name=r")
    over_socket = notes(tmp_path / "socket", *shared)
    over_loopback = notes(tmp_path / "loopback", *shared, "sidecar.socket=", "keys.secret=k")

    assert "unix:///run/sidecar/sidecar.sock" in over_socket
    assert "Give the pod an fsGroup" in over_socket
    assert "NOTE: without keys" in over_socket
    assert "http://127.0.0.1:8377" in over_loopback
    assert "NOTE: without keys" not in over_loopback
