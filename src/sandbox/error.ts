/** Something the user can understand and act on: the sandbox could not be built or used. Exit code 2. */
export class SandboxError extends Error {
  override readonly name = "SandboxError";
  /** What to do next. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}
