/** A script of a package that failed. */
export interface FailedScript {
  readonly package: string; // name-version-release.arch
  readonly text: string; // one line: which script, and how it ended
}

/** The scripts that failed, by what rpm wrote to standard error (rpm: lib/rpmscript.c). */
export function failedScripts(stderr: string): FailedScript[] {
  const lines = stderr.split('\n');
  return lines.flatMap((line, at): FailedScript[] => {
    const [, script = '', name = '', how = ''] =
      /%(\w+)\(([^)]+)\) scriptlet failed, ((?:exit status|signal) \d+)/.exec(line) ?? [];
    if (name === '') return [];
    const said = lines[at - 1]?.trim() ?? '';
    const why = /^error: /.test(said) ? `${how}: ${said.replace(/^error: /, '')}` : how;
    return [
      { package: name, text: `the %${script.replace(/^prein$/, 'pre')} script of ${name} failed, ${why}` },
    ];
  });
}

/** The packages that were not unpacked whole, as rpm says. */
export function failedPackages(stderr: string): string[] {
  return [...stderr.matchAll(/^error: (\S+): (?:install|unpacking) failed$/gm)].map(([, name = '']) => name);
}

/** A file that rpm could not give to its owner, or a device that it could not make. */
export function foreignFile(stderr: string): string | undefined {
  const said =
    /^error: unpacking of archive failed on file (\S+?)(?:;[0-9a-f]+)?: cpio: (?:chown|mknod) failed/m;
  return said.exec(stderr)?.[1];
}

/** What rpm warned of, but for scripts and what is told of every package without a key. */
export function warningsOf(stderr: string): string[] {
  const warnings = [...stderr.matchAll(/^warning: (.+)$/gm)].map(([, text = '']) => text);
  return [...new Set(warnings)].filter((text) => !/scriptlet failed|NOKEY|Signature, key ID/.test(text));
}
