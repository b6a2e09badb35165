import type { Command } from 'commander';

/**
 * What commander says against a command line, as our one line: with its suggestion in it, or else with where to read on.
 * Texts of several lines that are no error, such as help, stay as they are.
 */
export function usageLine(text: string, command: Command): string {
  const match = /^error: (.*?)\.?\n(?:\(Did you mean (.*)\?\)\n)?$/s.exec(text);
  if (match === null) return text;
  const [, complaint = '', suggestion] = match;
  const next = suggestion === undefined ? `see: ${pathOf(command)} --help` : `did you mean ${suggestion}?`;
  return `rackboot: ${complaint.replace(/\s*\n\s*/g, ' ')}; ${next}\n`;
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
