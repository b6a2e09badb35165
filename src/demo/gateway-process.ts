/**
 * The lab's end of a gateway: connections come from the parent over IPC, already accepted, and each is joined with one
 * of ours to the address and port on the command line.
 */
import { connect, type Socket } from 'node:net';

const [, , host = '', port = ''] = process.argv;

process.on('message', (_message, handle) => {
  const outside = handle as Socket | undefined;
  if (outside === undefined) return; // the client was gone before it got here
  const inside = connect(Number(port), host);
  const end = (): void => {
    inside.destroy();
    outside.destroy();
  };
  inside.on('error', end).on('close', end);
  outside.on('error', end).on('close', end);
  outside.pipe(inside).pipe(outside);
});
process.on('disconnect', () => process.exit(0));
