// The map: every node a cell, as wide as its runs, one row a step.
//
//   x   runs in order of their ends: a node's are [first, first + count)
//   y   depth
//
//   ┌──────── task ────────┬──── task ────┐
//   ├───── take ────┬─ look┤              │      what is narrower than a pixel is averaged in it;
//   ├ open ┬─ wait ─┤      │              │      what is out of sight is skipped by subtree_end
//
// Here is what is in sight, and the hands that move it; what it looks like is the painting's.

import type { Forest } from "./forest";
import { GUTTER, Painting, type Look, type Sight } from "./painting";

const LEAST_ROW = 6;
const MOST_ROW = 24;
const ZOOM_TIME = 180;

export interface MapEvents {
  pick: (node: number) => void;
  point: (node: number, x: number, y: number) => void;
}

export class Icicle implements Sight {
  left = 0; // in runs
  right = 1;
  top = 0; // in rows
  rowHeight = MOST_ROW;
  maxDepth = 0;
  selected = -1;
  private readonly painting: Painting;
  private look: Look | null = null;
  private wanted = 0;
  private animation = 0;
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private moved = 0;

  constructor(
    private readonly forest: Forest,
    readonly canvas: HTMLCanvasElement,
    private readonly events: MapEvents,
  ) {
    this.painting = new Painting(forest, canvas);
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

  private draw(): void {
    cancelAnimationFrame(this.wanted);
    this.wanted = 0;
    if (this.look !== null) this.painting.paint(this.look, this);
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
