// What the map looks like: one frame of it, of what is in sight.
//
// Cells are written as pixels, a line for each depth, and every line is put down as often as a row
// is high: the cost of a frame is the nodes in sight, whatever their size.

import { blend, inkOn, type Palette } from "./colours";
import type { Forest } from "./forest";
import type { Measure } from "./measures";
import { line, shortened } from "./visible";

export const GUTTER = 30; // CSS pixels for the numbers of steps
const LEAST_LABEL = 34;
const LEAST_MARK = 6;
const MOST_LABELS = 600;
const FONT = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';

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

/** What is in sight: runs from left to right, rows from the top on, each so many CSS pixels high. */
export interface Sight {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly rowHeight: number;
  readonly maxDepth: number;
  readonly selected: number;
}

/** One frame in the canvas's own pixels. */
interface Frame {
  look: Look;
  sight: Sight;
  ratio: number;
  gutter: number;
  width: number;
  rowHeight: number;
  firstRow: number;
  shift: number; // how far the first row is above the edge
  numRows: number;
}

interface Label {
  node: number;
  left: number;
  right: number;
  row: number;
}

export class Painting {
  private readonly context: CanvasRenderingContext2D;
  private image: ImageData | null = null;

  constructor(
    private readonly forest: Forest,
    private readonly canvas: HTMLCanvasElement,
  ) {
    this.context = canvas.getContext("2d", { alpha: false }) as CanvasRenderingContext2D;
  }

  paint(look: Look, sight: Sight): void {
    const { canvas, context, forest } = this;
    const frame = this.frame(look, sight);
    if (frame === null) return;
    const { width, numRows, gutter } = frame;
    const lines = new Uint32Array(width * numRows).fill(look.palette.page);
    const labels = this.cells(frame, lines);
    this.putDown(frame, lines);
    context.fillStyle = look.pageColour;
    context.fillRect(0, 0, gutter, canvas.height);
    this.overlay(frame, labels);
    this.steps(frame);
    canvas.dataset.drawn = String(Number(canvas.dataset.drawn ?? 0) + 1);
    canvas.setAttribute(
      "aria-label",
      `Map of ${forest.numRuns} runs: ${look.measure.title} by step`,
    );
  }

  /** Null where there is no room for anything. */
  private frame(look: Look, sight: Sight): Frame | null {
    const { canvas } = this;
    if (canvas.width === 0 || canvas.height === 0) return null;
    const ratio = canvas.width / canvas.clientWidth;
    const gutter = Math.round(GUTTER * ratio);
    const width = canvas.width - gutter;
    if (width < 2) return null;
    const rowHeight = Math.max(1, Math.round(sight.rowHeight * ratio));
    const firstRow = Math.floor(sight.top);
    const shift = Math.round((sight.top - firstRow) * rowHeight);
    const numRows = Math.ceil((canvas.height + shift) / rowHeight);
    return { look, sight, ratio, gutter, width, rowHeight, firstRow, shift, numRows };
  }

  /** One line of pixels a row; what has room for a word or a mark is given back. */
  private cells(frame: Frame, lines: Uint32Array): Label[] {
    const { look, width, firstRow, numRows, ratio } = frame;
    const { left, right } = frame.sight;
    const { first, count, depth, subtreeEnd, numNodes } = this.forest;
    const { words, dimmed, page } = look.palette;
    const { levels, hits } = look;
    const scale = width / (right - left);
    const sums = new Float32Array(width * numRows);
    const weights = new Float32Array(width * numRows);
    const found = hits === null ? null : new Uint8Array(width * numRows);
    const labels: Label[] = [];
    const least = LEAST_MARK * ratio;
    let n = this.firstTree(left);
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
  private firstTree(left: number): number {
    const { root, first, numTrees } = this.forest;
    let low = 0;
    let high = numTrees;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (first[root[middle]] <= left) low = middle;
      else high = middle;
    }
    return numTrees ? root[low] : 0;
  }

  private putDown(frame: Frame, lines: Uint32Array): void {
    const { look, width, numRows, rowHeight, shift, gutter } = frame;
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
  private overlay(frame: Frame, labels: Label[]): void {
    const { look, gutter, rowHeight, shift, ratio } = frame;
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
    if (frame.sight.selected >= 0) this.mark(frame);
  }

  private label(node: number): string {
    const { forest } = this;
    if (forest.depth[node] === 0) return line(forest.task(forest.treeOf(node)));
    return line(forest.texts.text(forest.action[node]), 120) || "(no action)";
  }

  private mark(frame: Frame): void {
    const { look, width, gutter, firstRow, rowHeight, shift, ratio } = frame;
    const { left, right, selected } = frame.sight;
    const { forest, context } = this;
    const scale = width / (right - left);
    const begin = (forest.first[selected] - left) * scale;
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

  private steps(frame: Frame): void {
    const { look, firstRow, numRows, rowHeight, shift, ratio, gutter } = frame;
    const { context } = this;
    const size = Math.min(10, 38 / `${frame.sight.maxDepth}`.length); // inside the gutter
    context.font = `${size * ratio}px ${FONT}`;
    context.fillStyle = look.soft;
    context.textAlign = "right";
    context.textBaseline = "middle";
    const every = rowHeight >= 14 * ratio ? 1 : rowHeight >= 8 * ratio ? 2 : 5;
    for (let row = 0; row < numRows; row++) {
      const depth = firstRow + row;
      if (depth > frame.sight.maxDepth || depth % every) continue;
      context.fillText(String(depth), gutter - 7 * ratio, (row + 0.5) * rowHeight - shift);
    }
    context.textAlign = "left";
  }
}
