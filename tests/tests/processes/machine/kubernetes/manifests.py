"""Checks files of manifests: against the schemas of Kubernetes and KEDA, and that what they name exists.

manifests.py VERSION FILE... prints the problems, each on a line behind the name of its file. VERSION is that of Kubernetes.
"""

import copy
import json
import sys
from pathlib import Path

import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from pydantic import ValidationError

# The pod's user in both images.
USER = 65532
# What the coordinator's scaler takes.
METADATA = {"scalerAddress", "sweep", "device", "labels", "lanes"}


class Loader(yaml.SafeLoader):
    """Refuses a key that is there twice. Kubernetes would take one of them."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"{sorted(twice)} twice", node.start_mark)
        return super().construct_mapping(node, deep)


def is_in(part: dict, whole: dict) -> bool:
    return all(whole.get(key) == value for key, value in part.items())


class Manifests:
    def __init__(self, version: str, objects: list[dict]):
        self.version, self.objects, self.problems = version, objects, []
        self.pods = [(one, template) for one in objects for template in templates_of(one)]

    def of_kind(self, *kinds: str) -> list[dict]:
        return [one for one in self.objects if one["kind"] in kinds]

    def expect(self, is_so: bool, one: dict, what: str) -> None:
        if not is_so:
            self.problems.append(f"{one['kind']}/{one['metadata']['name']}: {what}")

    def check(self) -> list[str]:
        names = [(one["kind"], one["metadata"]["name"]) for one in self.objects]
        for one in self.objects:
            self.schema(one)
        if self.problems:
            return self.problems
        for one in self.objects:
            self.expect(names.count((one["kind"], one["metadata"]["name"])) == 1, one, "the name is there twice")
            # Names of pods derive from it.
            self.expect(len(one["metadata"]["name"]) <= 52, one, "the name is too long")
        for one, template in self.pods:
            self.pod(one, template)
        for one in self.of_kind("Deployment", "StatefulSet"):
            selected = one["spec"]["selector"]["matchLabels"]
            self.expect(bool(selected), one, "it selects every pod")
            self.expect(is_in(selected, labels_of(one["spec"]["template"])), one, "it does not select its own pods")
        for one in self.of_kind("Service"):
            ports = {port["targetPort"] for port in one["spec"]["ports"]}
            self.selection(one, one["spec"]["selector"], ports, "selector")
        for one in self.of_kind("PodDisruptionBudget"):
            self.selection(one, one["spec"]["selector"]["matchLabels"], set(), "selector")
        for one in self.of_kind("NetworkPolicy"):
            self.policy(one)
        for one in self.of_kind("Job", "ScaledJob"):
            self.failures(one)
        for one in self.of_kind("ScaledObject", "ScaledJob"):
            self.scaled(one)
        return self.problems

    def schema(self, one: dict) -> None:
        if one["apiVersion"].startswith("keda.sh/"):
            self.keda_schema(one)
            return
        try:
            kubernetes_validate.validate(one, self.version, strict=True)
        except kubernetes_validate.ValidationError as error:
            place = ".".join(map(str, error.path))
            self.expect(False, one, f"{place or 'it'} does not fit the schema: {error.message}")
        except kubernetes_validate.SchemaNotFoundError as error:
            self.expect(False, one, f"there is no schema: {error}")

    def keda_schema(self, one: dict) -> None:
        """The models come from KEDA's own schemas. They leave out what they do not know."""
        for _ in templates_of(one):
            job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": one["metadata"]}
            self.schema({**job, "spec": one["spec"]["jobTargetRef"]})
            # The models cannot read numbers in the pods of a Job, which were checked now.
            one = copy.deepcopy(one)
            one["spec"]["jobTargetRef"]["template"] = {"spec": {"containers": [{"name": "worker"}]}}
        try:
            model = getattr(keda, one["kind"]).model_validate_json(json.dumps(one), strict=True)
        except ValidationError as error:
            self.expect(False, one, f"it does not fit the schema of KEDA: {error}")
            return
        known = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
        for place in unknown(one, known):
            self.expect(False, one, f"KEDA has no {place}")

    def selection(self, one: dict, wanted: dict, ports: set, what: str) -> None:
        chosen = [template for _, template in self.pods if is_in(wanted, labels_of(template))]
        self.expect(bool(wanted) and bool(chosen), one, f"its {what} selects no pod: {wanted}")
        for template in chosen:
            named = {port["name"] for port in ports_of(template)}
            self.expect(ports <= named, one, f"the selected pods have no ports {sorted(ports - named)}")

    def policy(self, one: dict) -> None:
        spec = one["spec"]
        rules = [(rule, "from") for rule in spec.get("ingress", [])] + [(rule, "to") for rule in spec.get("egress", [])]
        own_ports = {port["port"] for rule in spec.get("ingress", []) for port in rule["ports"]}
        self.selection(one, spec["podSelector"]["matchLabels"], own_ports, "podSelector")
        self.expect({"Ingress", "Egress"} == set(spec["policyTypes"]), one, "it leaves a direction open")
        for rule, side in rules:
            ports = {port["port"] for port in rule["ports"] if isinstance(port["port"], str)} if side == "to" else set()
            for peer in rule.get(side, []):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    self.selection(one, peer["podSelector"]["matchLabels"], ports, side)

    def pod(self, one: dict, template: dict) -> None:
        spec = template["spec"]
        accounts = [account["metadata"]["name"] for account in self.of_kind("ServiceAccount")]
        self.expect(spec["serviceAccountName"] in accounts, one, "its service account is not there")
        self.expect(spec["automountServiceAccountToken"] is False, one, "it has a token of the cluster")
        self.expect(spec["enableServiceLinks"] is False, one, "it gets variables for services")
        security = spec["securityContext"]
        self.expect(security["runAsNonRoot"] and security["runAsUser"] == USER, one, "it runs as root")
        self.expect(security["seccompProfile"] == {"type": "RuntimeDefault"}, one, "it may make every system call")
        claims = [claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])]
        volumes = {volume["name"] for volume in spec["volumes"]} | set(claims)
        mounted = set()
        for container in spec["initContainers"] + spec["containers"]:
            name, own = container["name"], container["securityContext"]
            mounts = {mount["name"] for mount in container["volumeMounts"]}
            mounted |= mounts
            self.expect(mounts <= volumes, one, f"{name} mounts {sorted(mounts - volumes)}, which are not there")
            self.expect(own["readOnlyRootFilesystem"] is True, one, f"{name} may write its root")
            self.expect(own["allowPrivilegeEscalation"] is False, one, f"{name} may gain rights")
            self.expect(own["capabilities"] == {"drop": ["ALL"]}, one, f"{name} has capabilities")
            resources = container["resources"]
            self.expect({"cpu", "memory"} <= set(resources["requests"]), one, f"{name} requests no resources")
            self.expect("memory" in resources["limits"], one, f"{name} has no limit of memory")
            ports = {port["containerPort"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                asked = container.get(probe, {}).get("grpc", {}).get("port")
                self.expect(asked is None or asked in ports, one, f"the {probe} asks the port {asked}")
        self.expect(mounted == volumes, one, f"nothing mounts {sorted(volumes - mounted)}")
        grace = [argument for argument in spec["containers"][0]["args"] if argument.startswith("--grace=")]
        for argument in grace:
            kill = spec["terminationGracePeriodSeconds"]
            self.expect(kill > int(argument.partition("=")[2]), one, "it is killed before its grace ends")

    def failures(self, one: dict) -> None:
        spec = one["spec"].get("jobTargetRef", one["spec"])
        rules, pod = spec["podFailurePolicy"]["rules"], spec["template"]["spec"]
        self.expect(pod["restartPolicy"] == "Never", one, "its pods restart by themselves")
        ignored = [rule for rule in rules if rule["action"] == "Ignore"]
        conditions = [condition["type"] for rule in ignored for condition in rule.get("onPodConditions", [])]
        self.expect("DisruptionTarget" in conditions, one, "a disruption counts as a failure")
        codes = [rule["onExitCodes"] for rule in rules if "onExitCodes" in rule]
        is_ignored = any(75 in rule.get("onExitCodes", {}).get("values", []) for rule in ignored)
        self.expect(is_ignored, one, "the exit code 75 counts as a failure")
        names = [container["name"] for container in pod["containers"]]
        self.expect(all(code["containerName"] in names for code in codes), one, "a rule is about another container")

    def scaled(self, one: dict) -> None:
        spec = one["spec"]
        if one["kind"] == "ScaledObject":
            targets = [it for it in self.of_kind("Deployment") if it["metadata"]["name"] == spec["scaleTargetRef"]["name"]]
            self.expect(len(targets) == 1, one, "there is nothing that it scales")
            self.expect(all("replicas" not in it["spec"] for it in targets), one, "the number of replicas is fixed")
        known = [it["metadata"]["name"] for it in self.of_kind("TriggerAuthentication")]
        services = [it["metadata"]["name"] for it in self.of_kind("Service")]
        for trigger in spec["triggers"]:
            self.expect(trigger["authenticationRef"]["name"] in known, one, "there is no such authentication")
            metadata = trigger["metadata"]
            self.expect(set(metadata) <= METADATA, one, f"the scaler has no {sorted(set(metadata) - METADATA)}")
            host = metadata["scalerAddress"].split(".")[0]
            self.expect(host in services, one, "there is no such scaler")


def templates_of(one: dict) -> list[dict]:
    if one["kind"] in ("Deployment", "StatefulSet", "Job"):
        return [one["spec"]["template"]]
    return [one["spec"]["jobTargetRef"]["template"]] if one["kind"] == "ScaledJob" else []


def labels_of(template: dict) -> dict:
    return template["metadata"]["labels"]


def ports_of(template: dict) -> list[dict]:
    return [port for container in template["spec"]["containers"] for port in container.get("ports", [])]


def unknown(given, known, place: str = "") -> list[str]:
    """The places of what is given and was left out."""
    if isinstance(given, dict) and isinstance(known, dict):
        left = [f"{place}.{key}".strip(".") for key in given if key not in known]
        return left + [it for key in given if key in known for it in unknown(given[key], known[key], f"{place}.{key}")]
    if isinstance(given, list) and isinstance(known, list):
        return [it for one, other in zip(given, known) for it in unknown(one, other, place)]
    return []


def problems_of(version: str, path: Path) -> list[str]:
    try:
        objects = [one for one in yaml.load_all(path.read_text(encoding="utf-8"), Loader) if one is not None]
        return Manifests(version, objects).check()
    except (yaml.YAMLError, KeyError) as error:
        return [f"{type(error).__name__}: {error}"]


def main() -> None:
    version, *paths = sys.argv[1:]
    for path in map(Path, paths):
        for problem in problems_of(version, path):
            print(f"{path.stem}: {' '.join(problem.split())}")


main()
