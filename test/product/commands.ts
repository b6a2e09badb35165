import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Runs `program`, for at most two minutes; what it wrote to standard output. Throws naming `packageName` when it is missing. */
export async function runProgram(
  [program = '', ...args]: readonly string[],
  packageName: string,
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const { cwd, env } = options;
  try {
    const { stdout } = await execute(program, args, {
      timeout: 120_000,
      maxBuffer: 16 * 1024 * 1024,
      env: { ...process.env, LC_ALL: 'C', ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    return stdout;
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT')
      throw new Error(`${program} is missing: apt-get install ${packageName}`, { cause: error });
    throw new Error(`${program} ${args.join(' ')}: ${stderr.trim()}`, { cause: error });
  }
}

/** The content of a file that a Debian package installs. Throws naming the package. */
export async function packagedFile(path: string, packageName: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Error(`${path} is missing: apt-get install ${packageName}`, { cause: error });
  }
}
