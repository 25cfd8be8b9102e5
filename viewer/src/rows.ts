// A list of rows of one height, of which only those on the screen are elements.

import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
} from "@tanstack/virtual-core";

export class Rows {
  private readonly virtualizer: Virtualizer<HTMLElement, HTMLElement>;
  private readonly inner = document.createElement("div");
  private readonly shown = new Map<number, HTMLElement>();
  private count = 0;

  /** `fill` makes the content of the row of an index. */
  constructor(
    private readonly outer: HTMLElement,
    private readonly height: number,
    private readonly fill: (index: number) => HTMLElement,
  ) {
    this.inner.className = "rows";
    outer.replaceChildren(this.inner);
    this.virtualizer = new Virtualizer(this.options());
    this.virtualizer._didMount();
    this.virtualizer._willUpdate();
  }

  /** There are so many rows now, and none is as it was. */
  reset(count: number): void {
    this.count = count;
    this.virtualizer.setOptions(this.options());
    this.virtualizer._willUpdate();
    for (const row of this.shown.values()) row.remove();
    this.shown.clear();
    this.draw();
  }

  scrollTo(index: number, align: "auto" | "center" | "start" = "auto"): void {
    this.virtualizer.scrollToIndex(index, { align });
  }

  private get pageSize(): number {
    return Math.max(1, Math.floor(this.outer.clientHeight / this.height) - 1);
  }

  /** The row that a key leads to from the row `at` (-1: none), of those that there are. */
  next(key: string, at: number): number | null {
    const steps: Record<string, number> = {
      ArrowDown: 1,
      j: 1,
      ArrowUp: -1,
      k: -1,
      PageDown: this.pageSize,
      PageUp: -this.pageSize,
      Home: -Infinity,
      End: Infinity,
    };
    const by = steps[key];
    return by && this.count ? Math.max(0, Math.min(this.count - 1, at + by)) : null;
  }

  private options() {
    return {
      count: this.count,
      getScrollElement: () => this.outer,
      estimateSize: () => this.height,
      overscan: 6,
      scrollToFn: elementScroll,
      observeElementRect,
      observeElementOffset,
      onChange: () => this.draw(),
    };
  }

  private draw(): void {
    const items = this.virtualizer.getVirtualItems();
    this.inner.style.height = `${this.virtualizer.getTotalSize()}px`;
    const wanted = new Set(items.map((item) => item.index));
    for (const [index, row] of this.shown) {
      if (!wanted.has(index)) {
        row.remove();
        this.shown.delete(index);
      }
    }
    for (const item of items) {
      if (this.shown.has(item.index)) continue;
      const row = this.fill(item.index);
      row.style.transform = `translateY(${item.start}px)`;
      row.style.height = `${this.height}px`;
      this.shown.set(item.index, row);
      this.inner.append(row);
    }
  }
}
