"""The one list of the names of the API; `luthier.api` imports each from its module when it is first used.

The order is that of the modules. The reference sorts the names by what they are for.
"""

from luthier.cli.call import Call as Call
from luthier.config.compose import Composition as Composition
from luthier.config.instantiate import instantiate as instantiate
from luthier.contracts.active_run import ActiveRun as ActiveRun
from luthier.contracts.adaptation import Adaptation as Adaptation
from luthier.contracts.batch import Batch as Batch
from luthier.contracts.batch import Row as Row
from luthier.contracts.batch import TokenSequence as TokenSequence
from luthier.contracts.conversation import Conversation as Conversation
from luthier.contracts.conversation import ToolConversation as ToolConversation
from luthier.contracts.distillation import Signal as Signal
from luthier.contracts.distillation import TokenDistributions as TokenDistributions
from luthier.contracts.examples import Example as Example
from luthier.contracts.examples import Source as Source
from luthier.contracts.heads import Head as Head
from luthier.contracts.heads import Problem as Problem
from luthier.contracts.model import (
    HasMetaNetwork as HasMetaNetwork,
)
from luthier.contracts.model import (
    HasProcessor as HasProcessor,
)
from luthier.contracts.model import (
    HasProofs as HasProofs,
)
from luthier.contracts.model import (
    LoadedModel as LoadedModel,
)
from luthier.contracts.model import (
    Model as Model,
)
from luthier.contracts.model import (
    RestorableModel as RestorableModel,
)
from luthier.contracts.model import (
    SelectsItself as SelectsItself,
)
from luthier.contracts.model import (
    proofs_of as proofs_of,
)
from luthier.contracts.policy_gradients import (
    Advantage as Advantage,
)
from luthier.contracts.policy_gradients import (
    LossAverage as LossAverage,
)
from luthier.contracts.policy_gradients import (
    PolicyLoss as PolicyLoss,
)
from luthier.contracts.policy_gradients import (
    PolicyTokens as PolicyTokens,
)
from luthier.contracts.policy_gradients import (
    RewardedAnswers as RewardedAnswers,
)
from luthier.contracts.predictor import Predictor as Predictor
from luthier.contracts.preferences import (
    AnswerLoss as AnswerLoss,
)
from luthier.contracts.preferences import (
    PairLoss as PairLoss,
)
from luthier.contracts.preferences import (
    PreferencePairs as PreferencePairs,
)
from luthier.contracts.preferences import (
    RatedAnswers as RatedAnswers,
)
from luthier.contracts.prompt import Prompt as Prompt
from luthier.contracts.prompt import PromptScorer as PromptScorer
from luthier.contracts.prompt import PromptScores as PromptScores
from luthier.contracts.proof import Proof as Proof
from luthier.contracts.report_section import ReportSection as ReportSection
from luthier.contracts.rewards import (
    CompositeReward as CompositeReward,
)
from luthier.contracts.rewards import (
    ConcurrentReward as ConcurrentReward,
)
from luthier.contracts.rewards import (
    Messages as Messages,
)
from luthier.contracts.rewards import (
    MisreturnedScoresError as MisreturnedScoresError,
)
from luthier.contracts.rewards import (
    ParsingReward as ParsingReward,
)
from luthier.contracts.rewards import (
    ReadingReward as ReadingReward,
)
from luthier.contracts.rewards import (
    Reward as Reward,
)
from luthier.contracts.rewards import (
    RewardResult as RewardResult,
)
from luthier.contracts.rewards import (
    RewardScores as RewardScores,
)
from luthier.contracts.rewards import (
    WarmingReward as WarmingReward,
)
from luthier.contracts.rewards import (
    compute_rewards as compute_rewards,
)
from luthier.contracts.rollout import Rollout as Rollout
from luthier.contracts.rollout import SampledRollout as SampledRollout
from luthier.contracts.sampling import Answer as Answer
from luthier.contracts.sampling import Sampling as Sampling
from luthier.contracts.scores import Score as Score
from luthier.contracts.search import PassageNumbers as PassageNumbers
from luthier.contracts.search import PassageScores as PassageScores
from luthier.contracts.search import ReusedRows as ReusedRows
from luthier.contracts.search import Search as Search
from luthier.contracts.search import SearchedSegment as SearchedSegment
from luthier.contracts.search import top_k as top_k
from luthier.contracts.text_embedding import RankedDocument as RankedDocument
from luthier.contracts.text_embedding import Reranker as Reranker
from luthier.contracts.text_embedding import TextEmbedding as TextEmbedding
from luthier.contracts.text_embedding import TextKind as TextKind
from luthier.contracts.training import (
    Criterion as Criterion,
)
from luthier.contracts.training import (
    Loss as Loss,
)
from luthier.contracts.training import (
    Measure as Measure,
)
from luthier.contracts.training import (
    Optimizer as Optimizer,
)
from luthier.contracts.training import (
    Preparation as Preparation,
)
from luthier.contracts.training import (
    StatefulPart as StatefulPart,
)
from luthier.contracts.training import (
    has_state as has_state,
)
from luthier.contracts.trust import Trust as Trust
from luthier.contracts.verbs import Verb as Verb
from luthier.data.collate import collate as collate
from luthier.data.columns import (
    column_of as column_of,
)
from luthier.data.columns import (
    no_column as no_column,
)
from luthier.data.content_hashes import content_hash as content_hash
from luthier.data.content_hashes import hash_of_tokenizer as hash_of_tokenizer
from luthier.data.encoding import (
    encode_continuation as encode_continuation,
)
from luthier.data.encoding import (
    encode_conversation as encode_conversation,
)
from luthier.data.encoding import (
    encode_for_scoring as encode_for_scoring,
)
from luthier.data.encoding import (
    encode_prompt as encode_prompt,
)
from luthier.data.encoding import (
    encode_text as encode_text,
)
from luthier.data.encoding import (
    row_with_shared_prefix as row_with_shared_prefix,
)
from luthier.data.encoding.render_limit import limited_rendering as limited_rendering
from luthier.data.encoding.template_check import check_template as check_template
from luthier.data.examples import (
    answer_of as answer_of,
)
from luthier.data.examples import (
    conversation_of as conversation_of,
)
from luthier.data.examples import (
    example_of as example_of,
)
from luthier.data.examples import (
    example_text as example_text,
)
from luthier.data.examples import (
    last_question as last_question,
)
from luthier.data.examples import (
    message_text as message_text,
)
from luthier.data.examples import (
    prompt_key as prompt_key,
)
from luthier.data.examples import (
    prompt_of as prompt_of,
)
from luthier.data.examples import (
    with_text as with_text,
)
from luthier.data.filters import Filter as Filter
from luthier.data.formats.bedrock_conversation import (
    BEDROCK_VERSION as BEDROCK_VERSION,
)
from luthier.data.formats.bedrock_conversation import (
    BedrockConversation as BedrockConversation,
)
from luthier.data.formats.classification import classification_question as classification_question
from luthier.data.formats.fields import (
    further_fields as further_fields,
)
from luthier.data.formats.fields import (
    number_field as number_field,
)
from luthier.data.formats.fields import (
    text_field as text_field,
)
from luthier.data.formats.format import Format as Format
from luthier.data.formats.prompt_completion import PromptCompletion as PromptCompletion
from luthier.data.formats.spans import with_entities as with_entities
from luthier.data.module import Data as Data
from luthier.data.overlong import split_row as split_row
from luthier.data.overlong import windows_of_row as windows_of_row
from luthier.data.prompts import with_system as with_system
from luthier.data.readers import Reader as Reader
from luthier.data.readers.by_ending import TABLE_ENDINGS as TABLE_ENDINGS
from luthier.data.readers.by_ending import reader_for as reader_for
from luthier.data.readers.json_lines import JsonLines as JsonLines
from luthier.data.reading import Reading as Reading
from luthier.data.records import Record as Record
from luthier.data.records import Tally as Tally
from luthier.data.selection import Demonstration as Demonstration
from luthier.data.selection import Selection as Selection
from luthier.data.selection import question_key as question_key
from luthier.data.shared_prefixes import (
    scatter_to_tokens as scatter_to_tokens,
)
from luthier.data.shared_prefixes import (
    sequence_sums as sequence_sums,
)
from luthier.data.shared_prefixes import (
    token_sequences as token_sequences,
)
from luthier.data.sources.files import file_state as file_state
from luthier.data.sources.records_source import RecordsSource as RecordsSource
from luthier.data.splits import HashSplits as HashSplits
from luthier.data.splits import Splits as Splits
from luthier.data.state import source_state as source_state
from luthier.data.tagging.entities import word_spans as word_spans
from luthier.data.tagging.tags import Scheme as Scheme
from luthier.data.tagging.tags import Span as Span
from luthier.data.tagging.tags import labels_of_tags as labels_of_tags
from luthier.data.tagging.tags import spans_of as spans_of
from luthier.data.tagging.tags import tag_set as tag_set
from luthier.data.tagging.tags import tags_of as tags_of
from luthier.data.tagging.words import Word as Word
from luthier.data.tagging.words import example_words as example_words
from luthier.data.turn_examples import turn_example as turn_example
from luthier.disk.redaction import redact as redact
from luthier.errors import (
    DataError as DataError,
)
from luthier.errors import (
    LuthierError as LuthierError,
)
from luthier.errors import (
    NumericsError as NumericsError,
)
from luthier.errors import (
    PluginError as PluginError,
)
from luthier.errors import (
    RecipeError as RecipeError,
)
from luthier.errors import (
    Refused as Refused,
)
from luthier.errors import (
    ResourceError as ResourceError,
)
from luthier.errors.names import check_names as check_names
from luthier.errors.suggestions import nearest as nearest
from luthier.evaluation.bootstrap import Floats as Floats
from luthier.evaluation.bootstrap import ratio as ratio
from luthier.evaluation.bootstrap import row_means as row_means
from luthier.evaluation.citations import (
    cited_numbers as cited_numbers,
)
from luthier.evaluation.citations import (
    says_not_found as says_not_found,
)
from luthier.evaluation.citations import (
    without_citations as without_citations,
)
from luthier.evaluation.measurement import Bootstrap as Bootstrap
from luthier.evaluation.measurement import Measurement as Measurement
from luthier.evaluation.metrics.exact_match import normalised_text as normalised_text
from luthier.evaluation.metrics.metric import Attempt as Attempt
from luthier.evaluation.metrics.metric import Metric as Metric
from luthier.evaluation.questions import Question as Question
from luthier.evaluation.scores import Scores as Scores
from luthier.evaluation.tasks.classification import Classification as Classification
from luthier.evaluation.tasks.task import Attempts as Attempts
from luthier.evaluation.tasks.task import MeasuringTask as MeasuringTask
from luthier.evaluation.tasks.task import Task as Task
from luthier.evaluation.tasks.task import TaskMeasurements as TaskMeasurements
from luthier.fetch.cache import cache_folder as cache_folder
from luthier.fetch.cache import cache_is_read_only as cache_is_read_only
from luthier.fetch.chat_completion import ChatCompletion as ChatCompletion
from luthier.fetch.chat_completion import chat_completions as chat_completions
from luthier.fetch.digests import sha256_of_file as sha256_of_file
from luthier.fetch.endpoint import api_key as api_key
from luthier.fetch.endpoint import post_json as post_json
from luthier.fetch.extras import Needs as Needs
from luthier.fetch.extras import imported as imported
from luthier.fetch.extras import is_installed as is_installed
from luthier.fetch.extras import refuse_absent as refuse_absent
from luthier.fetch.once import build_once as build_once
from luthier.fetch.once import is_intact as is_intact
from luthier.fetch.packages import (
    fetch_package as fetch_package,
)
from luthier.fetch.packages import (
    package_member as package_member,
)
from luthier.fetch.paths import local_path as local_path
from luthier.inference.bm25 import Bm25 as Bm25
from luthier.inference.bm25 import TfIdf as TfIdf
from luthier.inference.bm25 import cosine as cosine
from luthier.inference.calibration import Calibration as Calibration
from luthier.inference.class_proof import prove_classifier as prove_classifier
from luthier.inference.class_proof import prove_masked_lm as prove_masked_lm
from luthier.inference.class_proof import prove_tagger as prove_tagger
from luthier.inference.class_scores import (
    class_outputs as class_outputs,
)
from luthier.inference.class_scores import (
    class_probabilities as class_probabilities,
)
from luthier.inference.class_scores import (
    encode_for_classification as encode_for_classification,
)
from luthier.inference.classified import Classified as Classified
from luthier.inference.embeddings import Embedding as Embedding
from luthier.inference.embeddings import Vectors as Vectors
from luthier.inference.generation import (
    generate as generate,
)
from luthier.inference.generation import (
    generate_from_tokens as generate_from_tokens,
)
from luthier.inference.generation import (
    score_labels as score_labels,
)
from luthier.inference.generation.answering import AnsweringNetwork as AnsweringNetwork
from luthier.inference.generation.decoder import Decoding as Decoding
from luthier.inference.generation.kv_cache import kv_cache_for as kv_cache_for
from luthier.inference.generation.kv_cache import select_rows as select_rows
from luthier.inference.generation.proof import decoding_of as decoding_of
from luthier.inference.generation.stops import (
    cut_at_stop as cut_at_stop,
)
from luthier.inference.generation.stops import (
    end_of_turn as end_of_turn,
)
from luthier.inference.generation.stops import (
    stop_tokens as stop_tokens,
)
from luthier.inference.log_probabilities import packed_batches as packed_batches
from luthier.inference.reward_objective import RewardObjective as RewardObjective
from luthier.inference.reward_scores import (
    last_token_positions as last_token_positions,
)
from luthier.inference.reward_scores import (
    reward_outputs as reward_outputs,
)
from luthier.inference.tag_decoding import TagRules as TagRules
from luthier.inference.tag_decoding import rules_of as rules_of
from luthier.inference.tagged import Entity as Entity
from luthier.inference.text_embeddings import (
    as_compared as as_compared,
)
from luthier.inference.text_embeddings import (
    encode_for_embedding as encode_for_embedding,
)
from luthier.inference.text_embeddings import (
    pooled_of as pooled_of,
)
from luthier.inference.text_embeddings import (
    prove_embedder as prove_embedder,
)
from luthier.inference.text_embeddings import (
    text_embeddings as text_embeddings,
)
from luthier.inference.text_pairs import (
    encode_text_pair as encode_text_pair,
)
from luthier.inference.text_pairs import (
    pair_outputs as pair_outputs,
)
from luthier.inference.token_scores import EncodedWords as EncodedWords
from luthier.inference.token_scores import encode_words as encode_words
from luthier.inference.token_scores import token_outputs as token_outputs
from luthier.inference.token_scores import token_scores as token_scores
from luthier.inference.words import WORDS_VERSION as WORDS_VERSION
from luthier.inference.words import words_of as words_of
from luthier.models.adaptation import (
    ADAPTER_NAME as ADAPTER_NAME,
)
from luthier.models.adaptation import (
    FullFineTuning as FullFineTuning,
)
from luthier.models.adaptation import (
    NamedWeightsAdaptation as NamedWeightsAdaptation,
)
from luthier.models.adaptation import (
    PeftAdaptation as PeftAdaptation,
)
from luthier.models.adaptation import (
    with_saved_adapter as with_saved_adapter,
)
from luthier.models.attention import (
    KNOWN_LAYERS as KNOWN_LAYERS,
)
from luthier.models.attention import (
    PACKED_ATTENTION as PACKED_ATTENTION,
)
from luthier.models.attention import (
    AttentionLayer as AttentionLayer,
)
from luthier.models.attention import (
    ForwardPass as ForwardPass,
)
from luthier.models.attention import (
    Layout as Layout,
)
from luthier.models.attention import (
    Packed as Packed,
)
from luthier.models.attention import (
    Packing as Packing,
)
from luthier.models.attention import (
    as_the_batch as as_the_batch,
)
from luthier.models.attention import (
    forward_passes as forward_passes,
)
from luthier.models.attention import (
    layout_of as layout_of,
)
from luthier.models.chunked_losses import chunked_loss as chunked_loss
from luthier.models.digests import weights_digest as weights_digest
from luthier.models.encoders import load_encoder as load_encoder
from luthier.models.evaluation_mode import evaluation_mode as evaluation_mode
from luthier.models.experts.layers import freeze_routers as freeze_routers
from luthier.models.experts.layers import router_modules as router_modules
from luthier.models.experts.tensors import adapt_experts as adapt_experts
from luthier.models.experts.tensors import train_routers as train_routers
from luthier.models.head_weights import head_modules as head_modules
from luthier.models.head_weights import is_of_head as is_of_head
from luthier.models.head_weights import refuse_untrained_head as refuse_untrained_head
from luthier.models.lm_head import (
    LMHead as LMHead,
)
from luthier.models.lm_head import (
    find_lm_head as find_lm_head,
)
from luthier.models.lm_head import (
    hidden_states as hidden_states,
)
from luthier.models.lm_head import (
    hidden_states_and_logits as hidden_states_and_logits,
)
from luthier.models.lm_head import (
    last_hidden_state as last_hidden_state,
)
from luthier.models.lm_head import (
    lm_head_of as lm_head_of,
)
from luthier.models.loadable import LoadableModel as LoadableModel
from luthier.models.loading import (
    LoadSettings as LoadSettings,
)
from luthier.models.loading import (
    cast_weights as cast_weights,
)
from luthier.models.loading import (
    decoder_layers as decoder_layers,
)
from luthier.models.loading import (
    load_network as load_network,
)
from luthier.models.loading import (
    load_tokenizer as load_tokenizer,
)
from luthier.models.loading import (
    meta_causal_lm as meta_causal_lm,
)
from luthier.models.loading import (
    prepare_network as prepare_network,
)
from luthier.models.loading import (
    without_progress_bars as without_progress_bars,
)
from luthier.models.masked_lm import MaskedLanguageModel as MaskedLanguageModel
from luthier.models.masked_lm import masked_logits as masked_logits
from luthier.models.meta_networks import meta_network as meta_network
from luthier.models.modalities import text_weights as text_weights
from luthier.models.processors import processor_files as processor_files
from luthier.models.read_back import prove_folder as prove_folder
from luthier.models.reference_policy import (
    adaptation_disabled as adaptation_disabled,
)
from luthier.models.reference_policy import (
    can_disable_adaptation as can_disable_adaptation,
)
from luthier.models.safety import (
    refuse_code as refuse_code,
)
from luthier.models.safety import (
    refuse_pickles as refuse_pickles,
)
from luthier.models.safety import (
    weight_files as weight_files,
)
from luthier.models.sentence_transformers import embedding_of as embedding_of
from luthier.models.sentence_transformers import state_activation as state_activation
from luthier.models.sequence_classification import (
    SequenceClassification as SequenceClassification,
)
from luthier.models.sequence_classification import (
    has_small_head as has_small_head,
)
from luthier.models.sequence_classification import (
    is_reward_model as is_reward_model,
)
from luthier.models.stored import StoredModel as StoredModel
from luthier.models.tied import untie_adapted as untie_adapted
from luthier.models.tokenizers import configure_tokenizer as configure_tokenizer
from luthier.models.trainable_parameters import count_parameters as count_parameters
from luthier.models.wrappers import unwrapped as unwrapped
from luthier.models.wrappers import virtual_token_count as virtual_token_count
from luthier.plugins.blame import culprit as culprit
from luthier.plugins.hookspecs import hookimpl as hookimpl
from luthier.plugins.returned import misreturned as misreturned
from luthier.plugins.returned import returned as returned
from luthier.records.events import complete_lines as complete_lines
from luthier.records.folder import RunFolder as RunFolder
from luthier.reporting.figures import (
    format_count as format_count,
)
from luthier.reporting.figures import (
    format_interval as format_interval,
)
from luthier.reporting.figures import (
    format_number as format_number,
)
from luthier.reporting.figures import (
    format_signed as format_signed,
)
from luthier.reporting.figures import (
    format_size as format_size,
)
from luthier.reporting.record import RunRecord as RunRecord
from luthier.reporting.written_report import write_report as write_report
from luthier.training.guarded_logger import GuardedLogger as GuardedLogger
from luthier.training.language_model import (
    LanguageModelMethod as LanguageModelMethod,
)
from luthier.training.language_model import (
    next_token_log_probs as next_token_log_probs,
)
from luthier.training.language_model import (
    sequence_log_probs as sequence_log_probs,
)
from luthier.training.language_model import (
    shifted_targets as shifted_targets,
)
from luthier.training.likelihood_method import LikelihoodMethod as LikelihoodMethod
from luthier.training.method import Method as Method
from luthier.training.metrics_log import MetricsLog as MetricsLog
from luthier.training.optimizers.groups import is_embedding_table as is_embedding_table
from luthier.training.optimizers.groups import parameter_groups as parameter_groups
from luthier.training.optimizers.schedules import Schedule as Schedule
from luthier.training.optimizers.schedules import scheduled as scheduled
from luthier.training.strategies import Strategy as Strategy
from luthier.training.tracking import Tracker as Tracker
from luthier.training.trainer import Trainer as Trainer
from luthier.version import __version__ as __version__
from luthier.workflows.artifact import (
    ARTIFACT_MANIFEST as ARTIFACT_MANIFEST,
)
from luthier.workflows.artifact import (
    ARTIFACT_RECIPE as ARTIFACT_RECIPE,
)
from luthier.workflows.artifact import (
    Artifact as Artifact,
)
from luthier.workflows.artifact import (
    find_artifact as find_artifact,
)
from luthier.workflows.artifact import (
    load as load,
)
from luthier.workflows.earlier_run import EarlierRun as EarlierRun
from luthier.workflows.parts import Parts as Parts
from luthier.workflows.parts import assemble as assemble
from luthier.workflows.parts import part as part
from luthier.workflows.parts import without_quarantine as without_quarantine
from luthier.workflows.planning.estimate import DTYPE_BYTES as DTYPE_BYTES

VERSION: tuple[int, int]

def target_name(name: str) -> str: ...
def homes() -> dict[str, str]: ...
