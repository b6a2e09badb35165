/**
 * The text of a yum.conf whose section [main] says `options`, and nothing else of them: what stood there of the same name is
 * left out, with the lines that continue it. Without such a section one is put in front.
 */
export function withMainOptions(text: string, options: Readonly<Record<string, string>>): string {
  const stated = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  const lines: string[] = [];
  let within = false;
  let found = false;
  let dropping = false;
  for (const line of text.split(/\r?\n/)) {
    const section = /^\[([^\]]*)\]/.exec(line)?.[1];
    if (section !== undefined) {
      within = section === 'main';
      dropping = false;
      lines.push(line);
      if (within && !found) lines.push(...stated);
      found ||= within;
      continue;
    }
    if (dropping && /^\s+\S/.test(line)) continue;
    const name = /^([^\s=#;][^=]*?)\s*=/.exec(line)?.[1];
    dropping = within && name !== undefined && Object.hasOwn(options, name);
    if (!dropping) lines.push(line);
  }
  const rest = lines.join('\n').replace(/\n+$/, '');
  if (found) return `${rest}\n`;
  return `${['[main]', ...stated, ...(rest === '' ? [] : [rest])].join('\n')}\n`;
}
