"""The public names, for type checkers and editors; `__init__.py` loads them on first use."""

from w2stree.environments.hosting.pool import EnvironmentPool as EnvironmentPool
from w2stree.environments.protocol import Environment as Environment
from w2stree.errors import Error as Error
from w2stree.errors import IdenticalTrajectories as IdenticalTrajectories
from w2stree.errors import InvalidInput as InvalidInput
from w2stree.evaluation import evaluate as evaluate
from w2stree.forest.advantages import StepAdvantages as StepAdvantages
from w2stree.forest.advantages import advantages as advantages
from w2stree.forest.build import build_forest as build_forest
from w2stree.forest.build import merge_forests as merge_forests
from w2stree.forest.build import open_forest as open_forest
from w2stree.forest.forest import Forest as Forest
from w2stree.forest.merging import Merging as Merging
from w2stree.forest.pairs import PreferencePair as PreferencePair
from w2stree.forest.pairs import PreferencePairs as PreferencePairs
from w2stree.forest.search import SearchPath as SearchPath
from w2stree.forest.search import SearchResult as SearchResult
from w2stree.forest.state_paths import StatePath as StatePath
from w2stree.forest.states import StateGraph as StateGraph
from w2stree.forest.summary import ForestSummary as ForestSummary
from w2stree.forest.tree import Tree as Tree
from w2stree.formats.reading import read_trajectories as read_trajectories
from w2stree.formats.writing import write_trajectories as write_trajectories
from w2stree.linting.lint import lint as lint
from w2stree.policies.protocol import Policy as Policy
from w2stree.policies.protocol import Sampling as Sampling
from w2stree.rollouts.rollout import EpisodePlan as EpisodePlan
from w2stree.rollouts.rollout import rollout as rollout
from w2stree.rows.rows import preference_rows as preference_rows
from w2stree.rows.trl_datasets import preference_dataset as preference_dataset
from w2stree.rows.trl_datasets import sft_dataset as sft_dataset
from w2stree.rows.writing import write_rows as write_rows
from w2stree.training.fitting import Fitting as Fitting
from w2stree.training.optimisation import Optimisation as Optimisation
from w2stree.training.train_dpo import train_dpo as train_dpo
from w2stree.training.train_sft import train_sft as train_sft
from w2stree.trajectories.origin import Origin as Origin
from w2stree.trajectories.tool_call import ToolCall as ToolCall
from w2stree.trajectories.trajectory import Message as Message
from w2stree.trajectories.trajectory import Step as Step
from w2stree.trajectories.trajectory import Trajectory as Trajectory

__version__: str
