// Loaded before a program that is measured: leaves its peak memory in bytes in the file that the environment names.
import { writeFileSync } from 'node:fs';

const file = process.env['RACKBOOT_PEAK_FILE'];
delete process.env['RACKBOOT_PEAK_FILE'];
if (file !== undefined) {
  process.on('exit', () => writeFileSync(file, String(process.resourceUsage().maxRSS * 1024)));
}
