/**
 * The base of every error rackboot throws on purpose. `message` is one line that says what, where and the mend;
 * `code` is a word that code can switch on and that docs/errors.md explains.
 */
export class RackbootError<Code extends string = string> extends Error {
  override readonly name: string = 'RackbootError';
  readonly code: Code;

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The text of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s*\n\s*/g, ' ');
}

/** The `code` of a thrown system or rackboot error, or undefined. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return undefined;
}
