/** For `node --import`: when the process ends, the most memory that it took goes to file descriptor 3, in kB. */
import { writeSync } from "node:fs";

process.on("exit", () => {
  writeSync(3, String(process.resourceUsage().maxRSS));
});
