// The map: every node a cell, as wide as its runs, one row a step.
//
//   x   runs in order of their ends: a node's are [first, first + count)
//   y   depth
//
//   ┌──────── task ────────┬──── task ────┐
//   ├───── take ────┬─ look┤              │      what is narrower than a pixel is averaged in it;
//   ├ open ┬─ wait ─┤      │              │      what is out of sight is skipped by subtree_end
//
// Cells are written as pixels, a line for each depth, and every line is put down as often as a row
// is high: the cost of a frame is the nodes in sight, whatever their size.

import { blend, css, inkOn, type Palette } from "./colours";
import type { Forest } from "./forest";
import type { Measure } from "./measures";
import { line, shortened } from "./visible";

const GUTTER = 30; // CSS pixels for the numbers of steps
const LEAST_ROW = 6;
const MOST_ROW = 24;
const LEAST_LABEL = 34;
const LEAST_MARK = 6;
const MOST_LABELS = 600;
const FONT = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';
const ZOOM_TIME = 180;

export interface Look {
  palette: Palette;
  levels: Uint8Array;
  measure: Measure;
  hits: Uint8Array | null;
  ink: string;
  soft: string;
  accent: string;
  ring: string;
  pageColour: string;
}

export interface MapEvents {
  pick: (node: number) => void;
  point: (node: number, x: number, y: number) => void;
}

interface Label {
  node: number;
  left: number;
  right: number;
  row: number;
}

export class Icicle {
  private readonly context: CanvasRenderingContext2D;
  private look: Look | null = null;
  private left = 0; // in runs
  private right = 1;
  private top = 0; // in rows
  private rowHeight = MOST_ROW;
  private maxDepth = 0;
  private selected = -1;
  private image: ImageData | null = null;
  private wanted = 0;
  private animation = 0;
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private moved = 0;

  constructor(
    private readonly forest: Forest,
    readonly canvas: HTMLCanvasElement,
    private readonly events: MapEvents,
  ) {
    this.context = canvas.getContext("2d", { alpha: false }) as CanvasRenderingContext2D;
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.listen();
    this.fit(-1, false);
  }

  setLook(look: Look): void {
    this.look = look;
    this.request();
  }

  select(node: number): void {
    this.selected = node;
    if (node >= 0) this.reveal(node);
    this.request();
  }

  /** Show a node's runs from edge to edge; all of them for -1. */
  fit(node: number, isSmooth = true): void {
    const { forest } = this;
    const root = node < 0 ? -1 : forest.root[forest.treeOf(node)];
    this.maxDepth = deepest(forest, root);
    const rows = this.maxDepth + 1;
    const height = this.canvas.clientHeight || 400;
    this.rowHeight = Math.max(LEAST_ROW, Math.min(MOST_ROW, Math.floor(height / rows)));
    const begin = node < 0 ? 0 : forest.first[node];
    const end = node < 0 ? forest.numRuns : begin + Math.max(1, forest.count[node]);
    this.top = node < 0 ? 0 : this.top;
    this.moveTo(begin, Math.max(begin + 1, end), isSmooth);
    this.keepInside();
  }

  /** Less than 1 comes closer, around a place of the canvas or its middle. */
  zoom(factor: number, at = this.canvas.clientWidth / 2 + GUTTER / 2): void {
    const run = this.runAt(at);
    const span = Math.min(this.forest.numRuns, Math.max(0.5, (this.right - this.left) * factor));
    const share = (run - this.left) / (this.right - this.left);
    this.show(run - share * span, run - share * span + span);
  }

  pan(dx: number, dy: number): void {
    const runs = (dx / this.plotWidth) * (this.right - this.left);
    this.top += dy / this.rowHeight;
    this.show(this.left + runs, this.right + runs);
  }

  /** Where a node is on the canvas, in CSS pixels. */
  placeOf(node: number): { x: number; y: number } {
    const scale = this.plotWidth / (this.right - this.left);
    const middle = this.forest.first[node] + this.forest.count[node] / 2;
    const x = GUTTER + (middle - this.left) * scale;
    return { x, y: (this.forest.depth[node] - this.top + 0.5) * this.rowHeight };
  }

  private get plotWidth(): number {
    return Math.max(1, this.canvas.clientWidth - GUTTER);
  }

  private runAt(x: number): number {
    return this.left + ((x - GUTTER) / this.plotWidth) * (this.right - this.left);
  }

  private nodeAt(x: number, y: number): number {
    const run = Math.floor(this.runAt(x));
    const depth = Math.floor(this.top + y / this.rowHeight);
    if (x < GUTTER || run < 0 || run >= this.forest.numRuns || depth < 0) return -1;
    return this.forest.nodeAt(run, depth);
  }

  private reveal(node: number): void {
    const { forest } = this;
    const begin = forest.first[node];
    const end = begin + forest.count[node];
    if (end <= this.left || begin >= this.right) {
      const span = Math.max(this.right - this.left, forest.count[node]);
      const left = (begin + end) / 2 - span / 2;
      this.moveTo(left, left + span, true);
    }
    const rows = this.canvas.clientHeight / this.rowHeight;
    const depth = forest.depth[node];
    if (depth < this.top) this.top = depth;
    if (depth + 1 > this.top + rows) this.top = depth + 1 - rows;
  }

  private show(left: number, right: number): void {
    cancelAnimationFrame(this.animation);
    this.left = left;
    this.right = right;
    this.keepInside();
    this.request();
  }

  private moveTo(left: number, right: number, isSmooth: boolean): void {
    cancelAnimationFrame(this.animation);
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!isSmooth || isStill) {
      this.left = left;
      this.right = right;
      this.request();
      return;
    }
    const from = [this.left, this.right];
    const begun = performance.now();
    const step = (now: number): void => {
      const t = Math.min(1, Math.max(0, (now - begun) / ZOOM_TIME));
      const eased = 1 - (1 - t) ** 3;
      this.left = from[0] + (left - from[0]) * eased;
      this.right = from[1] + (right - from[1]) * eased;
      this.draw();
      if (t < 1) this.animation = requestAnimationFrame(step);
    };
    this.animation = requestAnimationFrame(step);
  }

  private keepInside(): void {
    const span = this.right - this.left;
    const most = Math.max(0, this.forest.numRuns - span);
    this.left = Math.max(0, Math.min(most, this.left));
    this.right = this.left + span;
    const rows = this.canvas.clientHeight / this.rowHeight;
    this.top = Math.max(0, Math.min(this.top, this.maxDepth + 1 - rows));
  }

  private resize(): void {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (!width || !height || (width === this.canvas.width && height === this.canvas.height)) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.image = null;
    const rows = this.maxDepth + 1;
    const fitting = Math.floor(this.canvas.clientHeight / rows);
    this.rowHeight = Math.max(LEAST_ROW, Math.min(MOST_ROW, fitting));
    this.keepInside();
    this.draw();
  }

  private request(): void {
    if (this.wanted) return;
    this.wanted = requestAnimationFrame(() => this.draw());
  }

  // Drawing ----------------------------------------------------------------------------------

  private draw(): void {
    cancelAnimationFrame(this.wanted);
    this.wanted = 0;
    const { look, canvas, forest } = this;
    if (look === null || canvas.width === 0 || canvas.height === 0) return;
    const ratio = canvas.width / canvas.clientWidth;
    const gutter = Math.round(GUTTER * ratio);
    const width = canvas.width - gutter;
    if (width < 2) return;
    const rowHeight = Math.max(1, Math.round(this.rowHeight * ratio));
    const firstRow = Math.floor(this.top);
    const shift = Math.round((this.top - firstRow) * rowHeight);
    const numRows = Math.ceil((canvas.height + shift) / rowHeight);
    const lines = new Uint32Array(width * numRows).fill(look.palette.page);
    const labels = this.cells(look, lines, width, firstRow, numRows, ratio);
    this.putDown(lines, width, numRows, rowHeight, shift, gutter, look);
    const context = this.context;
    context.fillStyle = look.pageColour;
    context.fillRect(0, 0, gutter, canvas.height);
    this.overlay(look, labels, gutter, firstRow, rowHeight, shift, ratio);
    this.steps(look, firstRow, numRows, rowHeight, shift, ratio, gutter);
    canvas.dataset.drawn = String(Number(canvas.dataset.drawn ?? 0) + 1);
    canvas.setAttribute(
      "aria-label",
      `Map of ${forest.numRuns} runs: ${look.measure.title} by step`,
    );
  }

  /** One line of pixels a row; what has room for a word or a mark is given back. */
  private cells(
    look: Look,
    lines: Uint32Array,
    width: number,
    firstRow: number,
    numRows: number,
    ratio: number,
  ): Label[] {
    const { forest, left, right } = this;
    const { first, count, depth, subtreeEnd, numNodes } = forest;
    const { words, dimmed, page } = look.palette;
    const { levels, hits } = look;
    const scale = width / (right - left);
    const sums = new Float32Array(width * numRows);
    const weights = new Float32Array(width * numRows);
    const found = hits === null ? null : new Uint8Array(width * numRows);
    const labels: Label[] = [];
    const least = LEAST_MARK * ratio;
    let n = this.firstTree();
    while (n < numNodes) {
      const begin = first[n];
      if (begin >= right) break;
      const runs = count[n];
      const row = depth[n] - firstRow;
      if (begin + runs <= left || row >= numRows || runs === 0) {
        n = subtreeEnd[n];
        continue;
      }
      if (row >= 0) {
        const x = (begin - left) * scale;
        const wide = runs * scale;
        if (wide >= 1) {
          const from = Math.max(0, Math.round(x));
          const end = Math.round(x + wide);
          const gap = wide >= 4 * ratio ? Math.round(ratio) : wide >= 2.5 ? 1 : 0;
          const to = Math.min(width, end - gap);
          const colours = hits === null || hits[n] ? words : dimmed;
          lines.fill(colours[levels[n]], row * width + from, row * width + Math.max(from + 1, to));
          if (wide >= least) labels.push({ node: n, left: from, right: to, row });
        } else {
          const i = row * width + Math.max(0, Math.min(width - 1, Math.floor(x)));
          sums[i] += levels[n] * runs;
          weights[i] += runs;
          if (found !== null && (hits as Uint8Array)[n]) found[i] = 1;
        }
      }
      n++;
    }
    for (let i = 0; i < weights.length; i++) {
      const weight = weights[i];
      if (weight === 0) continue;
      const colours = found === null || found[i] ? words : dimmed;
      const colour = colours[Math.round(sums[i] / weight)];
      const share = found !== null && found[i] ? 1 : Math.min(1, weight * scale);
      lines[i] = share > 0.98 ? colour : blend(page, colour, share);
    }
    return labels;
  }

  /** The first tree in sight. */
  private firstTree(): number {
    const { root, first, numTrees } = this.forest;
    let low = 0;
    let high = numTrees;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (first[root[middle]] <= this.left) low = middle;
      else high = middle;
    }
    return numTrees ? root[low] : 0;
  }

  private putDown(
    lines: Uint32Array,
    width: number,
    numRows: number,
    rowHeight: number,
    shift: number,
    gutter: number,
    look: Look,
  ): void {
    const { height } = this.canvas;
    if (this.image === null || this.image.width !== width || this.image.height !== height) {
      this.image = new ImageData(width, height);
    }
    const pixels = new Uint32Array(this.image.data.buffer);
    const gap = rowHeight >= 4 ? 1 : 0;
    for (let row = 0; row < numRows; row++) {
      const pixelsOfRow = lines.subarray(row * width, (row + 1) * width);
      const begin = row * rowHeight - shift;
      for (let y = Math.max(0, begin); y < Math.min(height, begin + rowHeight); y++) {
        if (y >= begin + rowHeight - gap) pixels.fill(look.palette.page, y * width, (y + 1) * width);
        else pixels.set(pixelsOfRow, y * width);
      }
    }
    this.context.putImageData(this.image, gutter, 0);
  }

  /** Words, marks, best paths, what is selected. */
  private overlay(
    look: Look,
    labels: Label[],
    gutter: number,
    firstRow: number,
    rowHeight: number,
    shift: number,
    ratio: number,
  ): void {
    const { context, forest } = this;
    const hasRoom = rowHeight >= 8 * ratio;
    const bar = Math.max(2, Math.round(2 * ratio));
    if (hasRoom) {
      for (const { node, left, right, row } of labels) {
        const y = row * rowHeight - shift;
        const x = gutter + left;
        const wide = right - left;
        if (forest.isBest[node]) {
          context.fillStyle = look.ink;
          context.fillRect(x, y, bar + Math.round(ratio), rowHeight);
        }
        const isDecision = forest.isDecision(node);
        if (isDecision || forest.isEnvironment(node)) {
          context.fillStyle = look.ring;
          const bottom = y + rowHeight - 1 - bar;
          if (forest.rowsAt[node]) context.fillRect(x, bottom - bar, wide, 2 * bar);
          else if (isDecision && forest.pairsAt[node]) context.fillRect(x, bottom, wide, bar);
          else {
            const dash = Math.round((isDecision ? 5 : 2) * ratio);
            for (let at = 0; at < wide; at += 2 * dash) {
              context.fillRect(x + at, bottom, Math.min(dash, wide - at), bar);
            }
          }
        }
      }
    }
    const size = Math.round(11 * ratio);
    if (rowHeight >= 14 * ratio) {
      context.font = `${size}px ${FONT}`;
      context.textBaseline = "middle";
      const advance = context.measureText("0").width;
      let drawn = 0;
      for (const { node, left, right, row } of labels) {
        if (right - left < LEAST_LABEL * ratio || drawn >= MOST_LABELS) continue;
        const room = Math.floor((right - left - 10 * ratio) / advance);
        const text = shortened(this.label(node), room);
        const dim = look.hits !== null && !look.hits[node];
        context.fillStyle = dim ? look.soft : inkOn(look.palette.colours[look.levels[node]]);
        const y = row * rowHeight - shift + rowHeight / 2;
        context.fillText(text, gutter + left + 6 * ratio, y);
        drawn++;
      }
    }
    if (this.selected >= 0) this.mark(look, gutter, firstRow, rowHeight, shift, ratio);
  }

  private label(node: number): string {
    const { forest } = this;
    if (forest.depth[node] === 0) return line(forest.task(forest.treeOf(node)));
    return line(forest.texts.text(forest.action[node]), 120) || "(no action)";
  }

  private mark(
    look: Look,
    gutter: number,
    firstRow: number,
    rowHeight: number,
    shift: number,
    ratio: number,
  ): void {
    const { forest, context, selected } = this;
    const scale = (this.canvas.width - gutter) / (this.right - this.left);
    const begin = (forest.first[selected] - this.left) * scale;
    const x = gutter + Math.max(-4, begin);
    const end = Math.min(this.canvas.width + 4, gutter + begin + forest.count[selected] * scale);
    const y = (forest.depth[selected] - firstRow) * rowHeight - shift;
    if (end < gutter) return;
    const wide = Math.max(4 * ratio, end - x - ratio);
    context.lineWidth = 4 * ratio;
    context.strokeStyle = look.pageColour;
    context.strokeRect(x, y, wide, rowHeight - 1);
    context.lineWidth = 2 * ratio;
    context.strokeStyle = look.accent;
    context.strokeRect(x, y, wide, rowHeight - 1);
  }

  private steps(
    look: Look,
    firstRow: number,
    numRows: number,
    rowHeight: number,
    shift: number,
    ratio: number,
    gutter: number,
  ): void {
    const { context } = this;
    context.font = `${Math.round(10 * ratio)}px ${FONT}`;
    context.fillStyle = look.soft;
    context.textAlign = "right";
    context.textBaseline = "middle";
    const every = rowHeight >= 14 * ratio ? 1 : rowHeight >= 8 * ratio ? 2 : 5;
    for (let row = 0; row < numRows; row++) {
      const depth = firstRow + row;
      if (depth > this.maxDepth || depth % every) continue;
      context.fillText(String(depth), gutter - 7 * ratio, (row + 0.5) * rowHeight - shift);
    }
    context.textAlign = "left";
  }

  // Hands ------------------------------------------------------------------------------------

  private listen(): void {
    const { canvas } = this;
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const unit = event.deltaMode === 1 ? 16 : 1;
        const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
        if (event.shiftKey || isSideways) {
          this.pan((event.deltaX || event.deltaY) * unit, 0);
        } else if (event.altKey) this.pan(0, event.deltaY * unit);
        else this.zoom(Math.exp(event.deltaY * unit * 0.002), event.offsetX);
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      this.moved = 0;
    });
    canvas.addEventListener("pointermove", (event) => this.move(event));
    const lift = (event: PointerEvent): void => {
      const isClick = this.pointers.delete(event.pointerId) && this.moved < 5;
      if (isClick && event.type === "pointerup" && this.pointers.size === 0) {
        const node = this.nodeAt(event.offsetX, event.offsetY);
        if (node >= 0) this.events.pick(node);
      }
    };
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("pointerleave", () => this.events.point(-1, 0, 0));
    canvas.addEventListener("dblclick", (event) => {
      const node = this.nodeAt(event.offsetX, event.offsetY);
      if (node >= 0) this.fit(node);
    });
  }

  private move(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    const now = { x: event.offsetX, y: event.offsetY };
    if (before === undefined) {
      this.events.point(this.nodeAt(now.x, now.y), event.offsetX, event.offsetY);
      return;
    }
    this.moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other === undefined) this.pan(before.x - now.x, before.y - now.y);
    else {
      const wasApart = Math.max(10, Math.abs(before.x - other.x));
      const isApart = Math.max(10, Math.abs(now.x - other.x));
      this.zoom(wasApart / isApart, (now.x + other.x) / 2);
    }
    this.pointers.set(event.pointerId, now);
  }
}

function deepest(forest: Forest, root: number): number {
  let most = 0;
  const end = root < 0 ? forest.numNodes : forest.subtreeEnd[root];
  for (let n = Math.max(0, root); n < end; n++) most = Math.max(most, forest.depth[n]);
  return most;
}

/** The scale of a measure, as a gradient for a style. */
export function gradient(palette: Palette): string {
  const stops = [0, 64, 128, 192, 255].map((level) => css(palette.colours[level]));
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
