import { MAX_CONFIG, mediaPath } from './menu.js';

/** A configuration with what it includes put in its place. */
export interface IncludedConfig {
  readonly text: string;
  readonly files: readonly string[]; // paths on the media that were read, in order
  readonly missing: readonly string[]; // paths that were not there, or too many or too long to read
}

/** Syslinux follows INCLUDE 16 levels deep (Syslinux wiki, "Config", INCLUDE). */
const MAX_DEPTH = 16;
const MAX_FILES = 256;

/**
 * `text`, of a configuration in `directory` of the media, with `INCLUDE file` and `MENU INCLUDE file` followed; paths in
 * included files are relative to `directory`, too. Total: what `read` does not have stays out, and a loop ends.
 */
export async function readIncludes(
  text: string,
  directory: string,
  read: (path: string) => Promise<string | undefined>,
): Promise<IncludedConfig> {
  const files = new Map<string, string>();
  const missing = new Set<string>();
  let room = MAX_CONFIG - text.length;
  let left = MAX_FILES;
  const expand = async (config: string, depth: number): Promise<string> => {
    const lines: string[] = [];
    let helpText = false;
    for (const line of config.split(/\r?\n/)) {
      if (/^\s*(?:menu\s+)?endtext\b/i.test(line)) helpText = false;
      else if (/^\s*text\s+help\b/i.test(line)) helpText = true;
      const name = helpText ? undefined : /^\s*(?:menu\s+)?include\s+(\S+)/i.exec(line)?.[1];
      if (name === undefined) {
        lines.push(line);
        continue;
      }
      const path = mediaPath(name, directory);
      const found = files.get(path) ?? (depth < MAX_DEPTH && left > 0 ? await read(path) : undefined);
      if (found === undefined || depth >= MAX_DEPTH || left-- <= 0 || found.length > room) {
        if (!files.has(path)) missing.add(path);
        continue;
      }
      files.set(path, found);
      room -= found.length;
      lines.push(await expand(found, depth + 1));
    }
    return lines.join('\n');
  };
  const expanded = await expand(text, 0);
  return { text: expanded, files: [...files.keys()], missing: [...missing] };
}
