import { cpus, release, totalmem } from 'node:os';
import { readFileSync } from 'node:fs';

/** One comparison: what we took, what the peer took, and what the ratio is to be. */
export interface Row {
  readonly work: string;
  readonly peer: string;
  readonly ours: number;
  readonly theirs: number;
  readonly unit: 's' | 'MB/s' | 'GB/s' | 'CPU s/GiB' | 'MB' | '/s' | 'nodes' | 'files';
  readonly goal: { readonly most: number } | { readonly least: number }; // of ours / theirs
  readonly note?: string;
}

/** The rows as a table for people, each with its ratio and whether that reaches the goal. */
export function ratioTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => {
    const ratio = row.ours / row.theirs;
    const goal = 'most' in row.goal ? `≤ ${show(row.goal.most)}` : `≥ ${show(row.goal.least)}`;
    return [
      row.work,
      `${show(row.ours)} ${row.unit}`,
      `${show(row.theirs)} ${row.unit}`,
      show(ratio),
      goal,
      reached(row) ? 'reached' : 'NOT reached',
      row.peer + (row.note === undefined ? '' : ` (${row.note})`),
    ];
  });
  const table = [['work', 'rackboot', 'peer', 'ratio', 'goal', '', 'against'], ...cells];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  return table
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function reached({ ours, theirs, goal }: Row): boolean {
  return 'most' in goal ? ours / theirs <= goal.most : ours / theirs >= goal.least;
}

function show(number: number): string {
  return number >= 100
    ? number.toFixed(0)
    : number >= 10
      ? number.toFixed(1)
      : number.toFixed(number < 1 ? 3 : 2);
}

/** The machine that a run was made on, in one line. */
export function machineLine(): string {
  const debian = readFileSync('/etc/debian_version', 'utf8').trim();
  return `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Debian ${debian}, Node ${process.versions.node}`;
}
