/** What the package exports but does not declare. */
declare module 'uWebSockets.js' {
  export function _cfg(key: string): void
}
export {}
