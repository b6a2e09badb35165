import { run } from './program.js';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
// Node ignores it, until execa takes its own listener away; then a file that may not grow kills, in place of EFBIG.
process.on('SIGXFSZ', () => undefined);
process.exitCode = await run(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr });
