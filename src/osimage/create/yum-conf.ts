/**
 * The text of a yum.conf whose section [main] says `options`, and nothing else of them: what stood there of the same name is
 * left out, with the lines that continue it. Without such a section, one begins the text.
 */
export function withMainOptions(text: string, options: Readonly<Record<string, string>>): string {
  const stated = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  const lines: string[] = [];
  let within = false;
  let dropping = false;
  for (const line of (/^\[main\]/m.test(text) ? text : `[main]\n${text}`).split(/\r?\n/)) {
    const section = /^\[([^\]]*)\]/.exec(line)?.[1];
    if (section !== undefined) {
      within = section === 'main';
      dropping = false;
      lines.push(line, ...(within ? stated.splice(0) : []));
      continue;
    }
    if (dropping && /^\s+\S/.test(line)) continue;
    const name = /^([^\s=#;][^=]*?)\s*=/.exec(line)?.[1];
    dropping = within && name !== undefined && Object.hasOwn(options, name);
    if (!dropping) lines.push(line);
  }
  return `${lines.join('\n').replace(/\n+$/, '')}\n`;
}
