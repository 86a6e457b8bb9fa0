/** The operator's view, which is loaded only for those who open it. */

import { useEffect, useState } from 'preact/compat'
import { t } from './language'
import type { Operator } from './Operator'
import type { Session } from './session'

/** Where it is in the address of the page. */
export const OPERATOR = '#operator'

interface Props {
  session: Session
  announce(sentence: string): void
}

export function OperatorView(props: Props) {
  const [View, setView] = useState<typeof Operator | null>(null)
  const [isMissing, setMissing] = useState(false)
  useEffect(() => {
    const load = async () => {
      const { Operator, speakOperator } = await import('./Operator')
      await speakOperator(document.documentElement.lang)
      setView(() => Operator)
    }
    load().catch(() => setMissing(true))
  }, [])
  if (isMissing) return <p role="alert">{t.app.operatorNotLoaded}</p>
  return View === null ? null : <View {...props} />
}

/** What stands behind `#` in the address, as it changes. */
export function useFragment(): string {
  const [fragment, setFragment] = useState(location.hash)
  useEffect(() => {
    const change = () => setFragment(location.hash)
    window.addEventListener('hashchange', change)
    return () => window.removeEventListener('hashchange', change)
  }, [])
  return fragment
}
