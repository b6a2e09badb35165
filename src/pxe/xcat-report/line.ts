/** What a node says on xCAT's install monitor port. */
export type ReportLine =
  /** It has done what it was booted for. */
  | { readonly kind: 'next' }
  /** Where it is: `installing`, `netbooting`, `booted` … */
  | { readonly kind: 'status'; readonly stages: readonly string[] }
  /** It says nothing, or asks for what takes no work here: there is no directory to unlock. */
  | { readonly kind: 'nothing' }
  /** It asks for something that only xcatd does. */
  | { readonly kind: 'foreign'; readonly word: string };

/** The longest line that is read, in bytes. */
export const MAX_LINE = 512;

const NOTHING = ['locktftpdir', 'unlocktftpdir', 'installmonitor', 'basecustremv'];

/** How many statuses of one line count. */
const MAX_STAGES = 4;

/** `line`, which is what a node may send in any bytes, without its end. */
export function readReportLine(line: string): ReportLine {
  const [word = '', ...rest] = line.trim().split(/\s+/);
  if (word === 'installstatus') {
    const stages = rest
      .map((stage) => stage.toLowerCase())
      .filter((stage) => /^[a-z0-9-]{1,32}$/.test(stage));
    return { kind: 'status', stages: stages.slice(0, MAX_STAGES) };
  }
  if (line.includes('next')) return { kind: 'next' };
  if (word === '' || NOTHING.includes(word)) return { kind: 'nothing' };
  return { kind: 'foreign', word: word.replace(/[^\x21-\x7e]/g, '?').slice(0, 40) };
}
