/** A row of a ResultTable, in the order in which it was added. */
export interface ResultRow {
  set(cells: readonly string[]): void;
}

/** What a suite found, for the eyes: rows of cells under headings. */
export class ResultTable {
  readonly #headings: readonly string[];
  readonly #rows: (readonly string[])[] = [];

  constructor(headings: readonly string[]) {
    this.#headings = headings;
  }

  add(cells: readonly string[]): ResultRow {
    const at = this.#rows.push(cells) - 1;
    return { set: (changed) => (this.#rows[at] = changed) };
  }

  text(): string {
    const lines = [this.#headings, ...this.#rows];
    const widths = this.#headings.map((_, column) =>
      Math.max(...lines.map((cells) => (cells[column] ?? '').length)),
    );
    return lines
      .map((cells) =>
        cells
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd(),
      )
      .join('\n');
  }
}
