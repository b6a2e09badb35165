/** A piece of a word of a GRUB script: text, or a variable to be put in. */
export type Piece = { readonly text: string } | { readonly variable: string };

/** A word, in its pieces. */
export type Word = readonly Piece[];

/** A command of a GRUB script, with the block in braces that ends it where it has one. */
export interface Command {
  readonly words: readonly Word[];
  readonly block?: readonly Command[];
}

const MAX_DEPTH = 64;

/**
 * Takes a GRUB script apart into commands and words (GRUB manual, "Writing full configuration files directly").
 * Keywords such as `if` and `then` are words like others. Total: an open quote or brace ends with the text.
 */
export function parseScript(text: string): Command[] {
  return new ScriptReader(text).commands(0);
}

class ScriptReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Commands up to a closing brace or the end. */
  commands(depth: number): Command[] {
    const found: Command[] = [];
    let words: Word[] = [];
    const finish = (block?: Command[]): void => {
      if (words.length > 0) found.push({ words, ...(block === undefined ? {} : { block }) });
      words = [];
    };
    while (this.#at < this.#text.length) {
      const letter = this.#text[this.#at] ?? '';
      if (letter === '\n' || letter === ';') {
        this.#at++;
        finish();
      } else if (/\s/.test(letter)) {
        this.#at++;
      } else if (letter === '\\' && this.#text[this.#at + 1] === '\n') {
        this.#at += 2;
      } else if (letter === '#') {
        this.#skipComment();
      } else if (letter === '{' && this.#standsAlone()) {
        this.#at++;
        finish(depth < MAX_DEPTH ? this.commands(depth + 1) : []);
      } else if (letter === '}' && this.#standsAlone()) {
        this.#at++;
        finish();
        return found;
      } else {
        words.push(this.#word());
      }
    }
    finish();
    return found;
  }

  #standsAlone(): boolean {
    const next = this.#text[this.#at + 1];
    return next === undefined || /[\s;]/.test(next);
  }

  #skipComment(): void {
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#text.length : end;
  }

  #word(): Word {
    const pieces: Piece[] = [];
    let text = '';
    const flush = (): void => {
      if (text !== '') pieces.push({ text });
      text = '';
    };
    while (this.#at < this.#text.length) {
      const letter = this.#text[this.#at] ?? '';
      if (/[\s;]/.test(letter)) break;
      if (letter === "'") {
        text += this.#upTo("'");
      } else if (letter === '"') {
        this.#at++;
        while (this.#at < this.#text.length && this.#text[this.#at] !== '"') {
          const variable = this.#variable();
          if (variable === undefined) text += this.#quoted();
          else {
            flush();
            pieces.push({ variable });
          }
        }
        this.#at++;
      } else if (letter === '\\') {
        const next = this.#text[this.#at + 1] ?? '';
        if (next !== '\n') text += next;
        this.#at += 2;
      } else {
        const variable = this.#variable();
        if (variable === undefined) {
          text += letter;
          this.#at++;
        } else {
          flush();
          pieces.push({ variable });
        }
      }
    }
    flush();
    return pieces;
  }

  /** The text between the quote here and the next `end`, past which it goes. */
  #upTo(end: string): string {
    const start = this.#at + 1;
    const close = this.#text.indexOf(end, start);
    this.#at = close < 0 ? this.#text.length : close + 1;
    return this.#text.slice(start, close < 0 ? undefined : close);
  }

  /** A letter inside of double quotes, where a backslash protects only `$`, `"`, itself and the end of a line. */
  #quoted(): string {
    const letter = this.#text[this.#at] ?? '';
    const next = this.#text[this.#at + 1] ?? '';
    if (letter === '\\' && /[$"\\\n]/.test(next)) {
      this.#at += 2;
      return next === '\n' ? '' : next;
    }
    this.#at++;
    return letter;
  }

  /** The name of the variable that begins here, past which it goes. */
  #variable(): string | undefined {
    const match = /\$(?:\{([A-Za-z0-9_?*@#]+)\}|([A-Za-z_][A-Za-z0-9_]*|[0-9?*@#]))/y;
    match.lastIndex = this.#at;
    const [whole, braced, bare] = match.exec(this.#text) ?? [];
    if (whole === undefined) return undefined;
    this.#at += whole.length;
    return braced ?? bare;
  }
}
