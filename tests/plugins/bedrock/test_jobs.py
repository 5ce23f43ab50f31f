"""Requests of the four kinds of jobs and Nova recipes, a grader's contract, and what a finished job leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command import luthier
from tests.plugins.bedrock.rows import write

PLACES = ("--role", "arn:aws:iam::123456789012:role/bedrock", "--data", "s3://violins/train.jsonl",
          "--results", "s3://violins/out")  # fmt: skip
GRADER = "arn:aws:lambda:us-east-1:123456789012:function:grader"
TEACHER = "amazon.nova-pro-v1:0"
JOBS = {
    "sft": (("recipe=lora_sft", "--base", "nova-lite"), "FINE_TUNING", "amazon.nova-lite-v1:0:300k"),
    "rft": (("recipe=grpo", "--base", "nova-2-lite", "--lambda", GRADER), "REINFORCEMENT_FINE_TUNING",
            "amazon.nova-2-lite-v1:0:256k"),
    "cpt": (("recipe=cpt-domain", "--base", "titan-text-express"), "CONTINUED_PRE_TRAINING",
            "amazon.titan-text-express-v1"),
    "distillation": (("recipe=distill", "--base", "nova-micro", "--teacher", TEACHER), "DISTILLATION",
                     "amazon.nova-micro-v1:0:128k"),
}  # fmt: skip


def job(place: Path, *words: str, places: tuple[str, ...] = PLACES) -> Any:
    return luthier("bedrock", "job", *words, *places, cwd=place)


def request(place: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((place / "bedrock/request.json").read_text())
    return made


@pytest.mark.parametrize("kind", JOBS)
def test_the_request_of_each_kind_passes_the_vendors_validator(kind: str, tmp_path: Path) -> None:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel
    from botocore.validate import ParamValidator

    words, named, model = JOBS[kind]
    done = job(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    made = request(tmp_path)
    assert (made["customizationType"], made["baseModelIdentifier"]) == (named, model)
    shape = ServiceModel(Loader().load_service_model("bedrock", "service-2")).operation_model(
        "CreateModelCustomizationJob"
    )
    assert ParamValidator().validate(made, shape.input_shape).generate_report() == ""
    assert done.stdout.splitlines()[-1] == "Nothing was sent."
    assert ("hyperParameters" in made) == (kind == "sft")


def test_each_setting_is_carried_changed_or_left_and_that_is_said(tmp_path: Path) -> None:
    done = job(tmp_path, "recipe=lora_sft", "trainer.epochs=9", "optimizer.lr=2e-5", "seed=7", "--base", "nova-lite")
    assert request(tmp_path)["hyperParameters"] == {"epochCount": "5", "learningRate": "2e-05"}
    told = done.stdout.split("bedrock/nova_recipe.yaml")[0]
    assert "  changed  trainer.epochs = 9: epochCount = 5; the service takes whole numbers from 1 to 5" in told
    assert "  carried  optimizer.lr = 2e-05: learningRate = 2e-05" in told
    assert "  left     seed = 7: the request has no field for it" in told
    assert "  left     adaptation = luthier_adapters.lora.Lora: the request has no field" in told


def test_the_ranges_of_reinforcement_are_those_of_the_service_model(tmp_path: Path) -> None:
    words = ("recipe=grpo", "method.group=32", "batch.size=8", "--base", "nova-2-lite", "--lambda", GRADER)
    assert job(tmp_path, *words).returncode == 0
    made = request(tmp_path)["customizationConfig"]["rftConfig"]
    assert made["graderConfig"] == {"lambdaGrader": {"lambdaArn": GRADER}}
    assert (made["hyperParameters"]["trainingSamplePerPrompt"], made["hyperParameters"]["batchSize"]) == (16, 16)


def test_a_nova_recipe_has_the_vendors_fields(tmp_path: Path) -> None:
    words = ("recipe=lora_sft", "adaptation.alpha=64", "batch.size=32", "--base", "nova-micro")
    done = job(tmp_path, *words)
    recipe = yaml.safe_load((tmp_path / "bedrock/nova_recipe.yaml").read_text())
    assert recipe["run"]["model_type"] == "amazon.nova-micro-v1:0:128k"
    training = recipe["training_config"]
    assert training["model"]["peft"]["lora_tuning"]["alpha"] == 64
    assert (training["global_batch_size"], training["trainer"]) == (32, {"max_epochs": 1})
    assert "changed  batch.length = 512: max_length = 32768; what is allowed is not published" in done.stdout


def test_a_run_is_carried_over_like_its_recipe(tmp_path: Path) -> None:
    run = tmp_path / "runs/mine"
    run.mkdir(parents=True)
    shown = luthier("recipe=lora_sft", "--cfg", "job", cwd=tmp_path)
    (run / "resolved.yaml").write_text(shown.stdout)
    assert job(tmp_path, "runs/mine", "--base", "nova-lite").returncode == 0
    from_run = request(tmp_path)
    job(tmp_path, "recipe=lora_sft", "--base", "nova-lite")
    assert request(tmp_path) == from_run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("recipe=preference", "--base", "nova-lite"), "DirectPreference cannot be carried over"),
        (("recipe=zero_shot", "--base", "nova-lite"), "trains nothing"),
        (("recipe=lora_sft", "--base", "nova"), "no base model 'nova'"),
        (("recipe=grpo", "--base", "nova-lite", "--lambda", GRADER), "no rft job for nova-lite"),
        (("recipe=grpo", "--base", "nova-2-lite"), "--lambda"),
        (("recipe=grpo", "--base", "nova-2-lite", "--lambda", "arn:mine"), "not of the form"),
        (("recipe=distill", "--base", "nova-lite"), "--teacher"),
        (("recipe=cpt-domain", "--base", "nova-lite"), "no continued pre-training of nova-lite"),
        (("recipe=lora_sft", "--base", "nova-lite", "--name", "my job"), "customModelName"),
        (("recipe=lora_sft", "--base", "nova-2-lite", "--validation", "s3://a-b/held.jsonl"), "no data for validation"),
        (("recipe=lora_sft", "--base", "nova-lite", "--logs"), "--logs"),
        (("runs/none", "--base", "nova-lite"), "no run runs/none"),
    ],
)  # fmt: skip
def test_what_the_service_has_no_job_for_is_refused(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = job(tmp_path, *words)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert not (tmp_path / "bedrock").exists()


def test_nova_is_pre_trained_by_a_recipe_alone(tmp_path: Path) -> None:
    assert job(tmp_path, "recipe=cpt-domain", "--base", "nova-lite", "--recipe-only").returncode == 0
    assert not (tmp_path / "bedrock/request.json").exists()
    assert yaml.safe_load((tmp_path / "bedrock/nova_recipe.yaml").read_text())["training_config"]["max_length"] == 8192


def test_invocation_logs_are_data_of_a_distillation(tmp_path: Path) -> None:
    words, *_ = JOBS["distillation"]
    assert job(tmp_path, *words, "--logs", "--use-responses").returncode == 0
    logs = request(tmp_path)["trainingDataConfig"]["invocationLogsConfig"]
    assert logs == {"usePromptResponse": True, "invocationLogSource": {"s3Uri": "s3://violins/train.jsonl"}}


def graded(place: Path, body: str) -> Any:
    ask = {"messages": [{"role": "user", "content": "1 + 1?"}], "reference_answer": {"sum": 2}, "level": 1}
    answered = {**ask, "messages": [*ask["messages"], {"role": "assistant", "content": "3"}]}
    write(place / "rft.jsonl", [ask, answered])
    (place / "grader.py").write_text(f"import json\n\n\ndef handler(samples, context):\n    return {body}\n")
    done = luthier("bedrock", "grade", "rft.jsonl", "--function", "grader.handler", "--json", cwd=place)
    return done, json.loads(done.stdout) if done.stdout else {}


def test_a_grader_is_called_as_the_service_calls_it(tmp_path: Path) -> None:
    score = "float(json.dumps(s['reference_answer']) == s['messages'][-1]['content'])"
    metric = "[{'name': 'level', 'value': s['level'], 'type': 'Metric'}]"
    body = f"[{{'id': s['id'], 'aggregate_reward_score': {score}, 'metrics_list': {metric}}} for s in samples]"
    done, record = graded(tmp_path, body)
    assert done.returncode == 0, done.stderr
    assert (record["scores"], record["metrics"]) == ([1.0, 0.0], {"level": 1.0})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{}", "where a list is expected"),
        ("[]", "no result for the id '0'"),
        ("[{'id': s['id']} for s in samples]", "`aggregate_reward_score` is missing"),
        ("[{'id': s['id'], 'aggregate_reward_score': float('nan')} for s in samples]", "finite number"),
        ("[{'id': s['id'], 'aggregate_reward_score': '1'} for s in samples]", "finite number"),
        ("[{'id': 1, 'aggregate_reward_score': 1}]", "no text in `id`"),
        ("[{'id': '0', 'aggregate_reward_score': 1}] * 3", "two results for the id '0'"),
        ("[{'id': s['id'], 'aggregate_reward_score': 1, 'metrics_list': [{'name': 'a', 'value': 1, 'type': 'x'}]}"
         " for s in samples]", "Metric or Reward"),
        ("samples[9]", "the function fails: IndexError"),
        ("{1, 2}", "the function fails: TypeError"),
        ("print(1) or exit(3)", "the function fails: SystemExit"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_told(body: str, said: str, tmp_path: Path) -> None:
    done, record = graded(tmp_path, body)
    assert done.returncode == 3
    assert said in " ".join(fault["reason"] for fault in record["faults"])


@pytest.mark.parametrize("name", ["grader", "none.handler", "grader.other"])
def test_a_function_that_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    graded(tmp_path, "[]")
    assert luthier("bedrock", "grade", "rft.jsonl", "--function", name, cwd=tmp_path).returncode == 2


STEPS = "step_number,epoch_number,training_loss,perplexity\r\n0,0,2.5,12.1\r\n1,0,2.1,8.1\r\n2,1,1.75,5.4\r\n"
HELD_OUT = "step_number,epoch_number,validation_loss,perplexity\n0,0,2.25,9\n1,1,1.5,6.6\n"


def finished(place: Path, steps: str = STEPS) -> Path:
    folder = place / "out/model-customization-job-abc"
    (folder / "training_artifacts").mkdir(parents=True)
    (folder / "training_artifacts/step_wise_training_metrics.csv").write_bytes(b"\xef\xbb\xbf" + steps.encode())
    held_out = folder / "validation_artifacts/post_fine_tuning_validation/validation"
    held_out.mkdir(parents=True)
    (held_out / "validation_metrics.csv").write_text(HELD_OUT)
    return folder


def test_what_a_job_left_is_the_record_and_the_report_of_a_run(tmp_path: Path) -> None:
    finished(tmp_path)
    job(tmp_path, "recipe=lora_sft", "--base", "nova-lite")
    done = luthier("bedrock", "results", "out", "--name", "managed", "--request", "bedrock/request.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "runs/managed/record.json").read_text())
    assert record["curves"]["loss"] == [[1, 2.5], [2, 2.1], [3, 1.75]]
    assert record["curves"]["validation_loss"] == [[1, 2.25], [2, 1.5]]
    assert (record["training"]["steps"], record["model"]["base"]) == (3, "amazon.nova-lite-v1:0:300k")
    assert "amazon.nova-lite-v1:0:300k" in (tmp_path / "runs/managed/report.html").read_text()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("", "no column step_number"),
        ("step_number,training_loss\n", "no row"),
        ("step_number,loss\n0,1\n", "no column training_loss"),
        ("step_number,training_loss\n0,1\n1,much\n", "step_wise_training_metrics.csv:3"),
        ("step_number,training_loss\n0.5,1\n", "a whole number"),
        ("step_number,training_loss\n0\n", "fewer cells"),
    ],
)
def test_metrics_that_cannot_be_read_are_refused(steps: str, said: str, tmp_path: Path) -> None:
    finished(tmp_path, steps)
    done = luthier("bedrock", "results", "out", "--name", "managed", cwd=tmp_path)
    assert done.returncode == 3, done.stdout
    assert said in done.stderr
    assert not (tmp_path / "runs").exists()


def test_one_job_is_read_at_a_time_and_no_run_is_written_over(tmp_path: Path) -> None:
    first = finished(tmp_path)
    first.rename(first.with_name("model-customization-job-first"))
    finished(tmp_path)
    assert "holds 2 files" in luthier("bedrock", "results", "out", "--name", "managed", cwd=tmp_path).stderr
    (tmp_path / "runs/mine").mkdir(parents=True)
    (tmp_path / "runs/mine/resolved.yaml").write_text("")
    one = "out/model-customization-job-first"
    assert luthier("bedrock", "results", one, "--name", "mine", cwd=tmp_path).returncode == 2
    assert luthier("bedrock", "results", one, "--name", "../mine", cwd=tmp_path).returncode == 2
    assert luthier("bedrock", "results", "none", "--name", "managed", cwd=tmp_path).returncode == 2
