/** The words of the operator's view, in the language of the page. */

import { operatorEn } from './messages/operatorEn'
import type { OperatorMessages } from './messages/operatorEn'

export let o: OperatorMessages = operatorEn

const OTHERS: Record<string, () => Promise<OperatorMessages>> = {
  de: async () => (await import('./messages/operatorDe')).operatorDe,
  ar: async () => (await import('./messages/operatorAr')).operatorAr,
}

/** Speak this language; English, if its words cannot be loaded. */
export async function speakOperator(language: string): Promise<void> {
  try {
    o = (await OTHERS[language]?.()) ?? operatorEn
  } catch {
    o = operatorEn
  }
}
