"""`TreeTrainer`: transformers' trainer on packed trees, with TRL's configurations."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, get_peft_model
from transformers import Trainer, set_seed
from transformers.trainer_utils import EvalLoopOutput, get_last_checkpoint
from trl import DPOConfig, SFTConfig

from w2stree.errors import InvalidInput, RowsTooLong, RowWarning
from w2stree.training.positions import refuse_beyond_positions
from w2stree.training.stage import NoStepTooMany, WarmUp, on_one_device
from w2stree.training.trackers import refuse_absent_trackers
from w2stree.training.trees.arguments import (
    objective_of,
    refuse_other_launcher,
    refuse_what_trees_cannot,
)
from w2stree.training.trees.attention.forward import tree_attention
from w2stree.training.trees.batches import Batch, Batches, BatchLoader, Examples, Packing
from w2stree.training.trees.examples import Example, ExampleTensors
from w2stree.training.trees.families import why_unshared
from w2stree.training.trees.objectives import Objective
from w2stree.training.trees.passes import Loss, Part, backward, evaluate
from w2stree.training.trees.probe import check_scores
from w2stree.training.trees.scores import PackTensors, widest

MAX_PACK_TOKENS = 8192


class TreeTrainer(NoStepTooMany, WarmUp, Trainer):  # type: ignore[misc]
    """Trains a causal LM on examples, each token that they share computed once.

    A step is `per_device_train_batch_size * gradient_accumulation_steps` examples a process, and
    its loss and gradient are those of the examples one at a time (`w2stree.training.trees`), in
    however many micro-batches, packs and processes they come.

    args                SFTConfig: mean negative log-likelihood; DPOConfig: `loss_type` and its own.
                        All their arguments work as in TRL, or are refused by name
                        (`w2stree.training.trees.arguments`)
    train_dataset       examples (`w2stree.training.trees.rows` makes them of tokenised rows); the
                        reference's scores are in them, without any there is no reference. Those
                        with a sequence of more than `max_length` tokens are left out, and said
    eval_dataset        examples, or a dictionary of them by name; the loss is their mean
    peft_config         adapters for the model; a dropout of theirs is 0 here, with a warning
    objective           another loss than the one that `args` name
    max_pack_tokens     distinct tokens in memory at a time; more are computed in parts, with the
                        same gradient
    attention           a backend of `w2stree.training.trees.attention.forward`

    Nothing is sent to anybody. Of several GPUs without a launcher one is used.

    Raises `InvalidInput` for an argument that cannot hold on trees, for a model that trees cannot
    train, for examples that the loss is not of, without any, and for one with more tokens than the
    model has positions.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: Any,
        args: SFTConfig | DPOConfig,
        train_dataset: Sequence[Example] | None = None,
        *,
        eval_dataset: Sequence[Example] | Mapping[str, Sequence[Example]] | None = None,
        processing_class: Any = None,
        peft_config: PeftConfig | None = None,
        callbacks: list[Any] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        objective: Objective | None = None,
        max_pack_tokens: int | None = None,
        attention: str = "auto",
    ) -> None:
        refuse_what_trees_cannot(args)
        refuse_absent_trackers(args.report_to)
        self.objective = objective_of(args) if objective is None else objective
        self.attention = attention
        self._max_length = args.max_length
        self._packing = Packing(MAX_PACK_TOKENS if max_pack_tokens is None else max_pack_tokens)
        if peft_config is not None:
            set_seed(args.seed)  # adapters begin at random, before transformers seeds
            model = get_peft_model(model, _without_dropout(peft_config))
        if getattr(args, "disable_dropout", False):
            _disable_dropout(model)
        longest = max((len(s.ids) for e in train_dataset or () for s in e.sequences), default=None)
        if (reason := why_unshared(model, longest)) is not None:
            raise InvalidInput(f"{reason}: train it unshared")
        check_scores(model, longest=longest, attention=attention)
        # Processes whose packs are cut differ in their number of forward passes, and DDP would
        # exchange buffers (none learns) in another order than its buckets: they would hang.
        args.ddp_broadcast_buffers = False
        self._figures: dict[str, torch.Tensor] = {}
        self._num_computed_tokens = 0
        super().__init__(
            model=model,
            args=on_one_device(args),
            data_collator=self._packing,
            train_dataset=self._kept(train_dataset, model),
            eval_dataset=(
                {name: self._kept(given, model) for name, given in eval_dataset.items()}
                if isinstance(eval_dataset, Mapping)
                else self._kept(eval_dataset, model)
            ),
            processing_class=processing_class,
            callbacks=callbacks,
            optimizers=optimizers,
        )
        refuse_other_launcher(self.accelerator, args)

    def _kept(self, examples: Sequence[Example] | None, model: Any) -> Sequence[Example] | None:
        """Those that are not too long; raises as the class says."""
        if examples is None:
            return None
        self.objective.check(examples)
        longest = [max(len(s.ids) for s in e.sequences) for e in examples]
        limit = self._max_length
        kept = [e for e, n in zip(examples, longest, strict=True) if limit is None or n <= limit]
        if len(kept) < len(examples):
            told = f"{len(examples) - len(kept)} of {len(examples)} examples exceed max_length"
            if not kept:
                raise InvalidInput(f"{told} ({limit} tokens): none is left; raise it")
            warnings.warn(
                f"{told} ({limit} tokens) and are left out: raise it to learn from them",
                RowsTooLong,
                stacklevel=3,
            )
        refuse_beyond_positions(model.config, [n for n in longest if limit is None or n <= limit])
        return kept

    # What a step is

    def get_train_dataloader(self) -> BatchLoader:
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        is_shuffled = self.args.train_sampling_strategy == "random"
        batches = Batches(
            self.train_dataset,
            self._train_batch_size,
            seed=seed if is_shuffled else None,
            rank=self.args.process_index,
            num_ranks=self.args.world_size,
            drop_last=self.args.dataloader_drop_last,
        )
        return self._loader(self.train_dataset, batches)

    def _loader(self, examples: Sequence[Example], batches: Batches) -> BatchLoader:
        args = self.args
        return BatchLoader(
            Examples(examples),
            batch_sampler=batches,
            collate_fn=self._packing,
            num_workers=args.dataloader_num_workers,
            persistent_workers=args.dataloader_persistent_workers,
            multiprocessing_context=args.dataloader_multiprocessing_context,
            prefetch_factor=args.dataloader_prefetch_factor,
            in_order=args.dataloader_in_order,
        )

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], torch.Tensor | None]:
        """A step's micro-batches, and its denominators over all processes."""
        batches = [b for _, b in zip(range(num_batches), epoch_iterator, strict=False)]
        if not batches:
            return batches, None
        if self.is_fsdp_enabled:
            self._refuse_cut(batches)
        counts = [self.objective.count(ExampleTensors.of(b.examples, device)) for b in batches]
        tokens = [(b.num_row_tokens, b.num_computed_tokens) for b in batches]
        more = torch.tensor(tokens, dtype=widest(device), device=device).sum(0)
        totals = self._summed(torch.cat([torch.stack(counts).sum(0), more]))
        self.state.num_input_tokens_seen += int(totals[-2])
        self._num_computed_tokens += int(totals[-1])
        return batches, totals[:-2]

    def _refuse_cut(self, batches: Sequence[Batch]) -> None:
        """Under FSDP each forward pass is all processes': they would wait for ever for one that has
        fewer parts."""
        if any(len(batch.packs) > 1 for batch in batches):
            raise InvalidInput(
                f"a micro-batch has more than max_pack_tokens ({self._packing.max_tokens}) "
                "distinct tokens, and under FSDP none may be computed in parts: raise it, or "
                "lower per_device_train_batch_size"
            )

    def _summed(self, tensor: torch.Tensor) -> torch.Tensor:
        """Over all processes."""
        found: torch.Tensor = self.accelerator.reduce(tensor, "sum")
        return found

    def training_step(
        self, model: Any, inputs: Batch, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The micro-batch's share of the step's loss, its gradient added to the weights'."""
        assert num_items_in_batch is not None
        model.train()
        if callable(getattr(self.optimizer, "train", None)):
            self.optimizer.train()
        # Wrappers average gradients over processes, and the trainer averages the losses it tells.
        num_ranks = self.args.world_size

        def to_backward(loss: torch.Tensor) -> None:
            self.accelerator.backward(loss * num_ranks)

        def no_sync() -> AbstractContextManager[Any]:
            found: AbstractContextManager[Any] = self.accelerator.no_sync(model)
            return found

        examples, parts = self._on_device(inputs)
        found = backward(
            model,
            parts,
            self.objective,
            examples,
            num_items_in_batch,
            attention=self.attention,
            to_backward=to_backward,
            no_sync=no_sync,
        )
        _add(self._figures, found)
        every = self.args.torch_empty_cache_steps
        if every is not None and self.state.global_step % every == 0:
            torch.cuda.empty_cache()
        told: torch.Tensor = (found.value * num_ranks).to(self.args.device, torch.float32)
        return told

    def _on_device(self, batch: Batch) -> tuple[ExampleTensors, list[Part]]:
        device = self.args.device
        examples = ExampleTensors.of(batch.examples, device)
        parts = [
            Part(PackTensors.of(packed, device), torch.from_numpy(which).to(device))
            for packed, which in batch.packs
        ]
        return examples, parts

    def train(
        self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """As transformers'; `resume_from_checkpoint` goes on with the weights, the optimiser and
        the order of the data that an uninterrupted training would have, and from the last step
        takes none. `InvalidInput` for a checkpoint of another number of processes."""
        _refuse_other_number(resume_from_checkpoint, self.args)
        with tree_attention(self.model):
            return super().train(resume_from_checkpoint, *args, **kwargs)

    # What is told of it

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """With the means since the last time of what the objective shows, and `num_tokens`: how
        many the rows of all steps so far have."""
        if "loss" in logs and self._figures:
            logs = {**logs, **self._means(self._figures)}
            logs["num_tokens"] = self.state.num_input_tokens_seen
            self._figures = {}
        super().log(logs, start_time)

    def _means(self, figures: Mapping[str, torch.Tensor]) -> dict[str, float]:
        names = sorted(figures)
        total, count = self._summed(torch.stack([figures[n] for n in names])).T
        return dict(zip(names, (total / count).tolist(), strict=True))

    @property
    def shared_ratio(self) -> float:
        """Tokens of the rows trained on by tokens computed for them, so far."""
        return float(self.state.num_input_tokens_seen / max(1, self._num_computed_tokens))

    def _track_num_input_tokens(self, inputs: Batch) -> None:
        """`get_batch_samples` counts them."""

    def floating_point_ops(self, inputs: Batch) -> int:
        """6 a weight and token: 2 forward, 4 backward."""
        return 6 * inputs.num_computed_tokens * int(self.model.num_parameters())

    # Evaluation

    def get_eval_dataloader(
        self, eval_dataset: str | Sequence[Example] | None = None
    ) -> BatchLoader:
        given = self.eval_dataset if eval_dataset is None else eval_dataset
        examples = self.eval_dataset[given] if isinstance(given, str) else given
        if examples is None:
            raise InvalidInput("an evaluation needs an eval_dataset")
        batches = Batches(
            examples,
            self.args.eval_batch_size,
            seed=0,
            rank=self.args.process_index,
            num_ranks=self.args.world_size,
        )
        return self._loader(examples, batches)

    get_test_dataloader = get_eval_dataloader

    def evaluation_loop(
        self,
        dataloader: BatchLoader,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """The loss of all examples as of one step, and what the objective shows."""
        loss, figures = self._evaluated(list(dataloader), self.objective)
        means = {"loss": loss, **self._means(figures)}
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in means.items()}
        examples: Any = dataloader.dataset
        return EvalLoopOutput(None, None, metrics, num_samples=len(examples))

    def loss_of(self, examples: Sequence[Example], objective: Objective) -> float:
        """Another loss of these examples by the model as it is."""
        return self._evaluated([self._packing(list(examples))], objective)[0]

    def _evaluated(
        self, batches: Sequence[Batch], objective: Objective
    ) -> tuple[float, dict[str, torch.Tensor]]:
        device, model = self.args.device, self.model
        model.eval()
        if callable(getattr(self.optimizer, "eval", None)):
            self.optimizer.eval()
        loss = torch.zeros((), dtype=widest(device), device=device)
        figures: dict[str, torch.Tensor] = {}
        counts = [objective.count(ExampleTensors.of(b.examples, device)) for b in batches]
        totals = self._summed(torch.stack(counts).sum(0))
        if self.is_fsdp_enabled:
            self._refuse_cut(batches)
        # A model that accelerate prepares to be evaluated it would not wrap to be trained: several
        # processes would then exchange no gradients.
        with tree_attention(model), self.accelerator.autocast():
            for batch in batches:
                examples, parts = self._on_device(batch)
                found = evaluate(
                    model, parts, objective, examples, totals, attention=self.attention
                )
                loss += found.value
                _add(figures, found)
                self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        return float(self._summed(loss)), figures


def _refuse_other_number(resume: str | bool | None, args: Any) -> None:
    """A step is the examples of all processes: with others it is another step, in another order."""
    folder = get_last_checkpoint(args.output_dir) if resume is True else resume
    if not folder or not Path(folder).is_dir():
        return
    num_before = max(1, len(list(Path(folder).glob("rng_state_*.pth"))))
    if num_before != args.world_size:
        raise InvalidInput(
            f"{folder} is of a training in {num_before} processes, and this one has "
            f"{args.world_size}: a step would be of other examples; go on in as many"
        )


def _add(figures: dict[str, torch.Tensor], found: Loss) -> None:
    for name, figure in found.figures.items():
        figures[name] = figures[name] + figure if name in figures else figure


def _without_dropout(config: PeftConfig) -> PeftConfig:
    if not getattr(config, "lora_dropout", 0.0):
        return config
    warnings.warn(
        f"lora_dropout {config.lora_dropout} is 0 on trees: a token that sequences share would be "
        "dropped in all of them",
        RowWarning,
        stacklevel=3,
    )
    without = copy.copy(config)
    without.lora_dropout = 0.0
    return without


def _disable_dropout(model: Any) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
