"""lm-evaluation-harness on luthier's models: its own log-likelihoods, its tasks as ours, prompts, what is refused."""

from __future__ import annotations

import csv
import json
import math

import pytest

pytest.importorskip("lm_eval")

import luthier
from luthier.errors import RecipeError
from luthier.testing.task import TaskContract
from luthier_harness.task import HarnessTask
from luthier_harness.task_file import task_configs
from tests.command import luthier as command

QUESTIONS = [
    {"question": f"Which wood is board {n}?", "choices": ["spruce", "maple", "ebony"], "gold": n % 3} for n in range(9)
]
WOODS = """\
task: woods
dataset_path: json
dataset_kwargs: {data_files: {test: woods.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: gold
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""
WRITTEN = """\
task: written
dataset_path: json
dataset_kwargs: {data_files: {test: woods.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{choices[gold]}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 4}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""
TEXTS = """\
task: texts
dataset_path: json
dataset_kwargs: {data_files: {test: woods.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}}"
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
"""
FEW = ("batch.length=256", "evaluation.general_examples=0", "evaluation.samples=0", "evaluation.resamples=100")


def write_tasks(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "woods.jsonl").write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    for name, text in {"woods": WOODS, "written": WRITTEN, "texts": TEXTS}.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two runs of tiny, one with a prompt of its own, the network of the first as plain transformers, and tasks."""
    place = tmp_path_factory.mktemp("harness")
    write_tasks(place / "tasks")
    shown = ("prompt=few_shot", "prompt.shots=2")
    for name, words in {"plain": (), "shown": shown}.items():
        done = command("debug=tiny", "data=demo", *words, *FEW, "stages=[fit]", f"hydra.run.dir={name}", cwd=place)
        assert done.returncode == 0, done.stderr
    done = command("export", "plain", "exported", cwd=place)
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.parametrize("chat", [False, True])
def test_log_likelihoods_are_those_of_the_harness_own_model(place, chat):
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    task = HarnessTask(path=str(place / "tasks"), chat=chat)
    ours = task.measurements(luthier.load(place / "plain")).measurements
    theirs = simple_evaluate(
        model=HFLM(pretrained=str(place / "exported"), device="cpu", batch_size=4, dtype="float32"),
        tasks=list(HarnessTask(path=str(place / "tasks"), chat=chat)._tasks.values()), bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False), apply_chat_template=chat,
    )  # fmt: skip
    for task_name, scores in {"woods": ("acc", "acc_norm"), "texts": ("word_perplexity", "bits_per_byte"),
                              "written": ("exact_match",)}.items():  # fmt: skip
        for score in scores:
            value = float(ours[f"{task_name}/{score}"].reduce(ours[f"{task_name}/{score}"].statistics.sum(0)))
            assert value == pytest.approx(theirs["results"][task_name][f"{score},none"], rel=1e-4), score


@pytest.mark.parametrize("text", ["", "Which wood is", "Spruce. "])
def test_each_log_likelihood_and_whether_it_is_greedy_is_theirs(place, text):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from luthier_harness.model import HarnessModel

    requests = [
        Instance("loglikelihood", {}, (text, continuation), 0) for continuation in (" maple and ebony", "x", " a b c d")
    ]
    ours = HarnessModel(luthier.load(place / "plain")).loglikelihood(requests)
    their_model = HFLM(pretrained=str(place / "exported"), device="cpu", batch_size=2, dtype="float32")
    for (mine, greedy), (their, likeliest) in zip(ours, their_model.loglikelihood(requests), strict=True):
        assert mine == pytest.approx(their, abs=1e-3)
        assert greedy == likeliest
    their_greedy = their_model.generate_until([Instance("generate_until", {}, ("Wood", {"max_gen_toks": 3}), 0)])
    assert (
        HarnessModel(luthier.load(place / "plain")).generate_until(
            [Instance("generate_until", {}, ("Wood", {"max_gen_toks": 3}), 0)]
        )
        == their_greedy
    )


def test_the_prompt_of_a_run_is_part_of_what_is_asked(place):
    from luthier_harness.model import HarnessModel

    model = HarnessModel(path=str(place / "shown"))
    text = model.apply_chat_template([{"role": "user", "content": "Which wood?"}])
    assert text.count("user") >= 3  # two examples stand before the question
    plain = HarnessModel(luthier.load(place / "plain")).apply_chat_template(
        [{"role": "user", "content": "Which wood?"}]
    )
    assert plain != text
    assert "Which wood?" in plain


MEMBERS = ("+model.members.one={path: plain}", "+model.members.other={path: shown}")
ASKED = ("data=demo", "data.limit=60", *FEW, "stages=[evaluate]", "evaluation/task=harness", "evaluation.examples=2")


@pytest.mark.parametrize("kind", ["ensemble", "vote"])
def test_an_ensemble_is_asked_too(place, kind):
    words = ("recipe=ensemble", f"model={kind}", *MEMBERS, *ASKED, "evaluation.task.path=tasks/woods.yaml",
             "score=woods/acc", f"hydra.run.dir={kind}")  # fmt: skip
    done = command(*words, cwd=place)
    assert done.returncode == 0, done.stderr
    scores = json.loads((place / kind / "scores" / "after" / "scores.json").read_text())["scores"]
    assert scores["woods/acc"]["count"] == 9
    assert json.loads((place / kind / "score.json").read_text())["score"] == scores["woods/acc"]["value"]


def test_a_vote_continues_no_text_and_says_how_it_can_be_asked(place):
    words = ("recipe=ensemble", "model=vote", *MEMBERS, *ASKED, "evaluation.task.path=tasks/written.yaml")
    done = command(*words, "evaluation.task.chat=false", "hydra.run.dir=text", cwd=place)
    assert (done.returncode, "evaluation.task.chat=true" in done.stderr) == (2, True), done.stderr
    done = command(*words, "score=written/exact_match", "hydra.run.dir=answers", cwd=place)
    assert done.returncode == 0, done.stderr


def test_runs_are_compared_by_the_tasks_of_the_harness(place):
    words = ("evaluation/task=harness", "evaluation.task.path=tasks", "evaluation.task.limit=6")
    done = command("evaluate", "plain", "shown", *words, "--examples", "2", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"woods/acc", "woods/acc_norm", "written/exact_match", "texts/bits_per_byte", "loss"} <= found["models"][
        "plain"
    ]["scores"].keys()
    assert found["models"]["plain"]["scores"]["woods/acc"]["count"] == 6
    assert found["changes"]["shown"]["texts/word_perplexity"]["change"]["better"] == "lower"
    assert "it/s" not in done.stderr


REFUSED = {
    "doc_to_text: !function code.py": "holds",
    "include: other.yaml": "include",
    "unsafe_code: true": "unsafe_code",
    "dataset_path: gsm8k": "gsm8k",
    "dataset_kwargs: {data_files: {test: 'https://example.org/x.jsonl'}}": "not there",
    "dataset_kwargs: {trust_remote_code: true}": "data_files",
    "metric_list: [{metric: acc, hf_evaluate: true}]": "hf_evaluate",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_would_run_code_or_reach_the_network_is_refused(tmp_path, line):
    write_tasks(tmp_path)
    key = line.partition(":")[0]
    kept = [
        one for one in WOODS.splitlines() if not one.startswith(key) and not (key == "metric_list" and "- {" in one)
    ]
    (tmp_path / "woods.yaml").write_text("\n".join([*kept, line]))
    with pytest.raises(RecipeError, match=REFUSED[line]):
        task_configs(str(tmp_path / "woods.yaml"))


def test_a_template_cannot_leave_its_sandbox(tmp_path, place):
    write_tasks(tmp_path)
    text = WOODS.replace("Question: {{question}}", "{{ question.__class__.__mro__ }}")
    (tmp_path / "woods.yaml").write_text(text)
    with pytest.raises(Exception, match="unsafe"):
        HarnessTask(path=str(tmp_path / "woods.yaml")).measurements(luthier.load(place / "plain"))


def test_a_metric_without_a_value_of_each_example_is_refused(tmp_path):
    write_tasks(tmp_path)
    text = WRITTEN.replace("{metric: exact_match, aggregation: mean", "{metric: bleu, aggregation: bleu")
    (tmp_path / "written.yaml").write_text(text)
    with pytest.raises(RecipeError, match="aggregated by bleu"):
        HarnessTask(path=str(tmp_path / "written.yaml")).metrics  # noqa: B018


def test_a_perplexity_is_that_of_all_words_together(place):
    task = HarnessTask(path=str(place / "tasks" / "texts.yaml"))
    measured = task.measurements(luthier.load(place / "plain")).measurements["texts/word_perplexity"]
    loss, words = measured.statistics.sum(0)
    assert float(measured.reduce(measured.statistics.sum(0))) == pytest.approx(math.exp(loss / words))
    assert words == sum(len(row["question"].split()) for row in QUESTIONS)


@pytest.mark.exhaustive
class TestHarness(TaskContract):
    answer = "evaluation/task=harness"

    @pytest.fixture(autouse=True)
    def _tasks(self, tmp_path, monkeypatch):
        path = write_tasks(tmp_path / "tasks") / "woods.yaml"
        monkeypatch.setattr(type(self), "words", (f"evaluation.task.path={path}",))


def test_a_csv_is_data_of_a_task_too(tmp_path):
    write_tasks(tmp_path)
    with (tmp_path / "woods.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([["question", "a", "b", "gold"], ["Which?", "spruce", "maple", "0"]])
    text = WOODS.replace("json\n", "csv\n").replace("woods.jsonl", "woods.csv").replace("{{choices}}", "{{[a, b]}}")
    (tmp_path / "woods.yaml").write_text(text)
    assert set(HarnessTask(path=str(tmp_path / "woods.yaml")).metrics) == {"woods/acc", "woods/acc_norm"}


def test_several_processes_are_refused_with_the_way_out(tmp_path):
    words = ("evaluation/task=harness", "evaluation.task.path=tasks", "trainer=ddp", "--cfg", "job")
    done = command("debug=tiny", *words, cwd=tmp_path)
    assert (done.returncode, "luthier evaluate RUN evaluation/task=harness" in done.stderr) == (2, True), done.stderr
