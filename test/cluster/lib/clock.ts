/** Milliseconds of a clock that all processes of this machine share and that has parts of microseconds. */
export const clock = (): number => Number(process.hrtime.bigint()) / 1e6;
