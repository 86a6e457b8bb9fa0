/** The sign of Wherry. */

export function Boat() {
  return (
    <svg className="boat" viewBox="0 0 32 32" aria-hidden="true">
      <rect x="7" y="8" width="5" height="5" rx="1" />
      <rect x="13.5" y="8" width="5" height="5" rx="1" />
      <rect x="20" y="8" width="5" height="5" rx="1" />
      <path d="M3 16h26l-4.4 8H7.4z" />
    </svg>
  )
}
