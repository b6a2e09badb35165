/** Shows how far long work is: one line redrawn on a terminal, a line every quarter elsewhere. */
export class Progress {
  readonly #out: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly #quiet: boolean;
  #shown = -1;
  #drawn = false;
  #last = 0;

  constructor(out: NodeJS.WritableStream, options: { readonly quiet: boolean }) {
    this.#out = out;
    this.#quiet = options.quiet;
  }

  /** Says that `done` of `total` units of `what` are done. */
  update(what: string, done: number, total: number): void {
    if (this.#quiet) return;
    const percent = total === 0 ? 100 : Math.floor((done * 100) / total);
    if (this.#out.isTTY === true) {
      if (Date.now() - this.#last < 100) return;
      this.#last = Date.now();
      this.#drawn = true;
      this.#out.write(`\r\x1b[K${String(percent).padStart(3)} %  ${what}`);
      return;
    }
    const quarter = Math.floor(percent / 25);
    if (quarter <= this.#shown) return;
    this.#shown = quarter;
    if (quarter > 0) this.#out.write(`${quarter * 25} % ${what}\n`);
  }

  /** Takes the redrawn line away. */
  end(): void {
    if (this.#drawn) this.#out.write('\r\x1b[K');
    this.#drawn = false;
  }
}
