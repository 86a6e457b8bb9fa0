/*
 * Wherry's browser client 0.1.0.dev0. MIT licence.
 *
 * Brings big files through ingresses that are too narrow for them. One file without
 * dependencies: put it among your own, for example as src/api/chunkedUploadApi.js.
 *
 *   import { uploadVideoChunked } from '../api/chunkedUploadApi'
 *   const { assessment_id } = await uploadVideoChunked(file, (percent) => setProgress(percent))
 *
 * The server is expected at /api/chunked-upload. What differs for all uploads is set once,
 * where the application starts:
 *
 *   import { defaults } from './api/chunkedUploadApi'
 *   defaults.endpoint = 'https://api.example.com/api'  // the address before /chunked-upload
 *   defaults.headers = async () => ({ Authorization: `Bearer ${await token()}` })
 *   defaults.credentials = 'include'                   // cookies, also to another origin
 *
 * It is made from TypeScript; change it there (web/ in the repository), not here.
 */
// src/core/errors.ts
var SIZE = /413|too large/i;
var UNKNOWN = {
	code: "",
	status: null,
	retryable: false,
	hint: "",
	retryAfter: null
};
/** The base class of all errors. */
var UploadFailure = class extends Error {
	static {
		this.kind = "UploadFailure";
	}
	constructor(message, facts = {}) {
		const name = new.target.kind;
		const isClean = name === "TooLarge" || !SIZE.test(message);
		super(isClean ? message : "The upload failed; `code` and `facts` say why.");
		Object.assign(this, UNKNOWN, { facts: {} }, facts, { name });
	}
};
/** The file is too large for the server, or the smallest chunk is too large for a proxy. */
var TooLarge = class extends UploadFailure {
	static {
		this.kind = "TooLarge";
	}
};
/** Cancelled here: by `cancel()` or an `AbortSignal`. */
var Aborted = class extends UploadFailure {
	static {
		this.kind = "AbortError";
	}
};
/** 401 or 403, also with fresh headers. What was sent stays; log in and call again. */
var Unauthorized = class extends UploadFailure {
	static {
		this.kind = "Unauthorized";
	}
};
/** There was no answer. What was sent may have arrived or not. */
var ConnectionLost = class extends UploadFailure {
	static {
		this.kind = "ConnectionLost";
	}
};
/** There was no progress for the whole of `patience`; `cause` is the last error. */
var GaveUp = class extends UploadFailure {
	static {
		this.kind = "GaveUp";
	}
};
/** The upload was cancelled elsewhere, has expired or has failed. Its bytes are deleted. */
var UploadGone = class extends UploadFailure {
	static {
		this.kind = "UploadGone";
	}
};
/** 507: the file can never fit into the space that the server has. */
var NoSpace = class extends UploadFailure {
	static {
		this.kind = "NoSpace";
	}
};
/**
 * The request of `uploadVideo` was sent as a whole, and its answer was lost. The upload may be
 * complete. It is not repeated automatically: that could make two.
 */
var AnswerLost = class extends UploadFailure {
	static {
		this.kind = "AnswerLost";
	}
	constructor(cause) {
		super("The file was sent, but the answer was lost.", {
			code: "answer-lost",
			hint: "Check whether it has arrived.",
			cause
		});
	}
};
/** The server is full at the moment. Uploads in chunks wait for room; `uploadVideo` throws this. */
var NoRoom = class extends UploadFailure {
	static {
		this.kind = "NoRoom";
	}
};
/** Any other 4xx: the server does not accept the request, the file or its type. */
var Refused = class extends UploadFailure {
	static {
		this.kind = "Refused";
	}
};
/** 5xx: the server has failed, or a proxy could not reach it. */
var ServerFailed = class extends UploadFailure {
	static {
		this.kind = "ServerFailed";
	}
};
/** The answer does not come from Wherry: usually the address is wrong. */
var UnexpectedAnswer = class extends UploadFailure {
	static {
		this.kind = "UnexpectedAnswer";
	}
};
/** The file can no longer be read: it was changed, moved or deleted on the disk. */
var FileChanged = class extends UploadFailure {
	static {
		this.kind = "FileChanged";
	}
};
// src/core/ranges.ts
/** The same bytes as sorted ranges that neither overlap nor touch. */
function merge(ranges) {
	const merged = [];
	for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
		const last = merged.at(-1);
		if (last && start <= last[1]) last[1] = Math.max(last[1], end);
		else if (start < end) merged.push([start, end]);
	}
	return merged;
}
/** The bytes from 0 to `length` that lie in none of `ranges`. */
function gaps(ranges, length) {
	const found = [];
	let at = 0;
	for (const [start, end] of merge(ranges)) {
		if (at < start) found.push([at, Math.min(start, length)]);
		at = Math.max(at, end);
	}
	if (at < length) found.push([at, length]);
	return found;
}
/** The bytes that lie in both; each of them sorted and without overlap. */
function overlap(some, others) {
	const found = [];
	for (const [start, end] of some) for (const other of others) {
		const both = [Math.max(start, other[0]), Math.min(end, other[1])];
		if (both[0] < both[1]) found.push(both);
	}
	return found;
}
function bytesIn(ranges) {
	let bytes = 0;
	for (const [start, end] of ranges) bytes += end - start;
	return bytes;
}
// src/core/digest.ts
/**
 * CRC-64/NVME of parts, and of a whole file combined from them in any order.
 *
 * Rule 1: eight bytes a step, in halves of 32 bits, for that is what browsers do fast.
 */
var POLYNOMIAL = 11127430586519243189n;
var TOP = 1n << 63n;
/** For byte values at each of eight places: the lower halves, and the upper halves. */
var tables;
function makeTables() {
	const lower = /* @__PURE__ */ new Int32Array(2048);
	const upper = /* @__PURE__ */ new Int32Array(2048);
	for (let value = 0; value < 256; value++) {
		let crc = BigInt(value);
		for (let bit = 0; bit < 64; bit++) {
			if (bit % 8 === 0 && bit > 0) keep(bit / 8 - 1, value, crc);
			crc = crc & 1n ? crc >> 1n ^ POLYNOMIAL : crc >> 1n;
		}
		keep(7, value, crc);
	}
	return [lower, upper];
	function keep(place, value, crc) {
		lower[place * 256 + value] = Number(crc & 4294967295n);
		upper[place * 256 + value] = Number(crc >> 32n);
	}
}
/** The CRC of bytes whose CRC is `crc`, followed by `data`. */
function crc64(data, crc = 0n) {
	const [l, h] = tables ??= makeTables();
	let low = ~Number(crc & 4294967295n);
	let high = ~Number(crc >> 32n);
	const steps = data.length - data.length % 8;
	let at = 0;
	for (; at < steps; at += 8) {
		const a = low ^ (data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24);
		const b = high ^ (data[at + 4] | data[at + 5] << 8 | data[at + 6] << 16 | data[at + 7] << 24);
		const p = 1792 + (a & 255);
		const q = 1536 + (a >>> 8 & 255);
		const r = 1280 + (a >>> 16 & 255);
		const s = 1024 + (a >>> 24);
		const u = 768 + (b & 255);
		const v = 512 + (b >>> 8 & 255);
		const w = 256 + (b >>> 16 & 255);
		const x = b >>> 24;
		low = l[p] ^ l[q] ^ l[r] ^ l[s] ^ l[u] ^ l[v] ^ l[w] ^ l[x];
		high = h[p] ^ h[q] ^ h[r] ^ h[s] ^ h[u] ^ h[v] ^ h[w] ^ h[x];
	}
	for (; at < data.length; at++) {
		const index = (low ^ data[at]) & 255;
		low = (low >>> 8 | high << 24) ^ l[index];
		high = high >>> 8 ^ h[index];
	}
	return BigInt(~high >>> 0) << 32n | BigInt(~low >>> 0);
}
/** The CRC of two adjacent parts, from their CRCs. `secondLength` is in bytes. */
function combine(first, second, secondLength) {
	let power = TOP >> 8n;
	for (let left = secondLength; left > 0; left = Math.floor(left / 2)) {
		if (left % 2) first = multiply(first, power);
		power = multiply(power, power);
	}
	return first ^ second;
}
/** Of polynomials, modulo the CRC's own; the highest bit stands for x to the power of 0. */
function multiply(a, b) {
	let product = 0n;
	for (let bit = TOP; bit; bit >>= 1n) {
		if (a & bit) product ^= b;
		b = b & 1n ? b >> 1n ^ POLYNOMIAL : b >> 1n;
	}
	return product;
}
/** As in RFC 9530's fields, under Amazon's name for it. */
var renderDigest = (crc) => `crc64nvme=:${renderCrc(crc)}:`;
/** In base64, as S3 has it. */
function renderCrc(crc) {
	let bytes = "";
	for (let shift = 56n; shift >= 0n; shift -= 8n) bytes += String.fromCharCode(Number(crc >> shift & 255n));
	return btoa(bytes);
}
/** The parts of a file that have been read. Adjacent parts are joined. */
var Parts = class {
	constructor() {
		this.parts = [];
	}
	/** A part that overlaps another is ignored: its bytes are known, or will be read again. */
	add({ range: [start, end], crc }) {
		const parts = this.parts;
		let at = parts.findIndex((part) => part.range[1] > start);
		if (at < 0) at = parts.length;
		if (start >= end || (parts[at]?.range[0] ?? Infinity) < end) return;
		parts.splice(at, 0, {
			range: [start, end],
			crc
		});
		if (parts[at + 1]?.range[0] === end) this.joinNext(at);
		if (parts[at - 1]?.range[1] === start) this.joinNext(at - 1);
	}
	/** The ranges of a file of this length that were not read yet. */
	missing(length) {
		return gaps(this.parts.map((part) => part.range), length);
	}
	/** The CRC of the first part: of the whole file, if nothing is missing. */
	get crc() {
		return this.parts[0]?.crc ?? 0n;
	}
	joinNext(at) {
		const [one, next] = this.parts.splice(at, 2);
		const crc = combine(one.crc, next.crc, next.range[1] - next.range[0]);
		this.parts.splice(at, 0, {
			range: [one.range[0], next.range[1]],
			crc
		});
	}
};
// src/core/backoff.ts
/**
 * When to try again after an error, and when to give up. Progress resets the failures.
 *
 * Rule 1: no clock and no randomness, as in `plan.ts`: both come in as arguments.
 */
/** The first pause is at most this many seconds; each further one is twice as long. */
var FIRST_PAUSE = .1;
var LONGEST_PAUSE = 30;
/** Seconds between two requests to a server that is full or busy, if it does not say when. */
var POLL_INTERVAL = 1;
/** The server keeps a free slot for an upload for one minute, so no client waits longer than this. */
var LONGEST_WAIT = 30;
/** After a sleep of this many seconds past the end of a pause, failures are counted anew. */
var ASLEEP = 60;
/** How long to wait for a server that is full or busy, whatever it says. */
var pauseOf = ({ retryAfter }) => Math.min(retryAfter || POLL_INTERVAL, LONGEST_WAIT);
var Backoff = class {
	/** `budget`: the seconds without progress, from the first failure, after which to give up. */
	constructor(budget) {
		this.budget = budget;
		this.until = 0;
		this.inTrouble = false;
		this.failures = 0;
		this.failingSince = 0;
		this.failedAt = 0;
	}
	/** A request that began before the last failure does not show that the trouble is over. */
	progressed(began) {
		if (began < this.failedAt) return;
		this.failures = 0;
		this.inTrouble = false;
	}
	/** The server has no room yet. This is not a failure, however long it takes. */
	waits(error, now) {
		this.inTrouble = true;
		this.failedAt = now;
		this.until = Math.max(this.until, now + pauseOf(error));
	}
	/** The browser is online again. */
	online() {
		this.until = 0;
	}
	/**
	 * Set the next pause. Throws `GaveUp` when the pause would exceed the budget.
	 *
	 * `began`: when the failed request was started. Requests that were in flight at the same
	 * time fail for the same reason, so they count as one failure.
	 */
	failed(error, began, now, jitter) {
		if (error.code === "offline") {
			this.failures = 0;
			return this.waits({ retryAfter: LONGEST_WAIT }, now);
		}
		if (began > this.until + ASLEEP) this.failures = 0;
		this.inTrouble ||= error.code !== "superseded";
		if (this.failures === 0) this.failingSince = now;
		if (this.failures === 0 || began >= this.failedAt) {
			this.failures += 1;
			this.failedAt = now;
		}
		const pause = jitter * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (this.failures - 1));
		const asked = Math.min(error.retryAfter ?? 0, LONGEST_WAIT);
		this.until = Math.max(this.until, now + Math.max(pause, asked));
		if (this.until - this.failingSince > this.budget) throw new GaveUp(`There was no progress for too long. ${error.message}`, {
			code: error.code,
			status: error.status,
			retryable: true,
			hint: "Every acknowledged byte is safe; the upload can continue later.",
			facts: error.facts,
			cause: error
		});
	}
};
// src/core/decisions.ts
/**
 * What to do after an error: one pure function, the twin of decisions.py.
 *
 * Rule 1: `tests/vectors` lists the decision for every answer, and tests both clients with it.
 */
/**
 * Whether the request is sent again, once, with headers that its caller makes anew.
 *
 * 403 counts as well as 401: frameworks answer it to a token that is missing or has expired.
 */
var wantsFreshHeaders = (error) => error instanceof Unauthorized;
/**
 * Whether this may be the page of a filter that refuses the body: for its kind, or its size. It is,
 * if the filter lets a request without such a body through. Otherwise, the login is refused.
 */
var isFiltered = (error) => !error.code && [
	400,
	403,
	404,
	406,
	415,
	501
].includes(error.status);
/** What to do after `error` in answer to `verb`. */
function whatNext(error, verb) {
	const { code, facts } = error;
	const isChunk = verb === "chunk";
	const isWhole = verb === "upload";
	if (error instanceof TooLarge && facts["scope"] !== "file" && (isChunk || isWhole)) return "smaller";
	if (isWhole) {
		if (error instanceof NoRoom) return "smaller";
		if (error instanceof Refused && [404, 405].includes(error.status)) return "smaller";
		if (isFiltered(error)) return "smaller";
		if (code === "hook-failed" && typeof facts["upload_id"] === "string") return "complete";
	}
	if (code === "upload-closed" && isChunk) return "complete";
	if (code === "bytes-missing" && verb === "complete") return "missing";
	if (error instanceof UploadGone && facts["state"] === "expired" && !isWhole) return "anew";
	if (isChunk && isFiltered(error)) return "look";
	if (!error.retryable) return "stop";
	if (isChunk || isWhole) {
		if (code === "waiting") return "line";
		if (!code || error instanceof ConnectionLost || error instanceof UnexpectedAnswer) return "look";
	}
	return error instanceof NoRoom || /^(busy|overloaded|rate-limited|stopping)$/.test(code) ? "wait" : "retry";
}
/**
 * Whether a request that failed so was perhaps refused for its size: `next` is what follows. It
 * was, if the server was there all the time.
 */
function mayHideRefusal(error, next) {
	return error.code === "connection-lost" || isFiltered(error) || next === "look" && error instanceof ServerFailed;
}
/** `whatNext`; null for an error that is not an `UploadFailure`. */
function nextAfter(error, verb) {
	return error instanceof UploadFailure ? whatNext(error, verb) : null;
}
// src/core/retrying.ts
/** Repeats a small request until it succeeds. */
/** How long to try a server that has never answered (seconds): the address may be wrong. */
var FIRST_ANSWER = 30;
var Retrying = class {
	/** `budget`: seconds without progress. `onTrouble` is called for each error, after the pause is set. */
	constructor(environment, control, budget, onTrouble) {
		this.environment = environment;
		this.control = control;
		this.budget = budget;
		this.onTrouble = onTrouble;
		this.isKnown = false;
		this.backoff = new Backoff(Math.min(FIRST_ANSWER, budget));
	}
	/** Seconds until the next request may be sent. */
	get pause() {
		return Math.max(this.backoff.until - this.environment.now(), 0);
	}
	/**
	 * The answer to `call`. Throws errors that repeating cannot mend, `Aborted` and `Paused`. After
	 * an error that means `look`, the next `call` asks what the server has.
	 *
	 * `isProgress`: an answer ends the trouble.
	 */
	async ask(verb, call, isProgress = true) {
		const { backoff, control, environment } = this;
		for (;;) {
			await control.sleep(this.pause, () => this.pause === 0);
			const began = environment.now();
			try {
				const answer = await call();
				this.isKnown = true;
				backoff.budget = this.budget;
				if (isProgress) backoff.progressed(began);
				return answer;
			} catch (error) {
				control.check();
				if (!(error instanceof UploadFailure)) throw error;
				const next = whatNext(error, verb);
				if (error instanceof UnexpectedAnswer && !this.isKnown || !/wait|retry|look/.test(next)) throw error;
				if (next === "wait") backoff.waits(error, environment.now());
				else backoff.failed(error, began, environment.now(), environment.jitter());
				if (error.code !== "busy") this.onTrouble(error);
			}
		}
	}
};
// src/core/context.ts
/** The default of the option `patience`, in seconds. */
var TIMEOUT = 300;
var Context = class {
	constructor(environment, wire, source, size, options, reporter, control) {
		this.environment = environment;
		this.wire = wire;
		this.source = source;
		this.size = size;
		this.options = options;
		this.reporter = reporter;
		this.control = control;
		this.parts = new Parts();
		const timeout = options.patience ?? TIMEOUT;
		this.retrying = new Retrying(environment, control, timeout, (error) => this.reportTrouble(error));
	}
	/** A paused upload stays `paused` and a cancelled one `cancelled`, whatever its requests do. */
	report(state, details = {}) {
		if (this.control.isCancelled && state !== "done") return;
		this.reporter.report(this.control.isPaused && state !== "done" ? "paused" : state, details);
	}
	reportTrouble(error) {
		this.report(error instanceof NoRoom ? "waiting" : "retrying", {
			retryAfter: this.retrying.pause,
			position: typeof error.facts["position"] === "number" ? error.facts["position"] : null,
			problem: error.message
		});
	}
	/** A request of `size` bytes was refused. */
	noteRefused(size) {
		this.reporter.refusedSize = size;
		this.remember();
	}
	/** Later pages of this tab begin with what was learned. */
	remember() {
		this.environment.kept.set(this.wire.origin, this.size.path);
	}
};
// src/core/control.ts
/**
 * Pause, resume and cancel of one upload, and everything that waits in it.
 *
 * Rule 1: each of them wakes everything that sleeps or waits here. After a cancel, the woken
 * code gets `Aborted`, after a pause `Paused`.
 */
/** How many whole files a tab sends at once. */
var WHOLES_AT_ONCE = 4;
/** Thrown out of a paused run. After `resumed()`, a new run begins by reading the status. */
var Paused = class extends Error {};
var Control = class {
	constructor(environment) {
		this.environment = environment;
		this.isPaused = false;
		this.isLeft = false;
		this.halting = new AbortController();
		this.ending = new AbortController();
		this.cancelled = null;
		this.sleepers = /* @__PURE__ */ new Set();
	}
	get halt() {
		return this.halting.signal;
	}
	get end() {
		return this.ending.signal;
	}
	get isCancelled() {
		return this.cancelled !== null;
	}
	pause() {
		this.isPaused = true;
		this.endChunks();
	}
	resume() {
		this.isPaused = false;
		this.wake();
	}
	/** Small requests in flight are not aborted: their answer may hold the id of a new upload. */
	cancel(cause) {
		this.cancelled ??= new Aborted("The upload was cancelled.", {
			code: "aborted",
			cause
		});
		this.endChunks();
	}
	/** Cancel in this browser only. */
	leave() {
		this.isLeft ||= !this.isCancelled;
		this.cancel();
	}
	endRequests() {
		this.ending.abort();
	}
	endChunks() {
		const { halting } = this;
		this.halting = new AbortController();
		halting.abort();
		this.wake();
	}
	wake() {
		for (const wake of this.sleepers) wake();
	}
	/** Throws `Aborted`, `Paused`. */
	check() {
		if (this.cancelled) throw this.cancelled;
		if (this.isPaused) throw new Paused();
	}
	/** Waits for `wake`, at most this many seconds. Throws `Aborted`, `Paused`. */
	async rest(seconds = Infinity) {
		this.check();
		await this.woken(seconds);
		this.check();
	}
	/** Waits this many seconds, or until `isOver()`. Throws `Aborted`, `Paused`. */
	async sleep(seconds, isOver = () => false) {
		this.check();
		const until = this.environment.now() + seconds;
		for (let left = seconds; left > 0 && !isOver(); left = until - this.environment.now()) await this.rest(left);
	}
	/** Waits for `resume`. Throws `Aborted`. */
	async resumed() {
		while (this.isPaused && !this.cancelled) await this.woken(Infinity);
		this.check();
	}
	/**
	 * The result of `send`, which sends a whole file, when it is its turn. Throws `Aborted`, `Paused`.
	 *
	 * Of all that a page sends at the same moment, the browser would send few and hold the others
	 * back, but a request that stands still for long has failed. And each of them would be tried
	 * before the first one shows that the path is too narrow.
	 */
	async inTurn(send) {
		const { turns } = this.environment;
		turns.push(this);
		try {
			while (turns.indexOf(this) >= WHOLES_AT_ONCE) await this.rest();
			return await send();
		} finally {
			turns.splice(turns.indexOf(this), 1);
			turns[3]?.wake();
		}
	}
	woken(seconds) {
		return new Promise((resolve) => {
			let stop = () => void 0;
			const wake = () => {
				this.sleepers.delete(wake);
				stop();
				resolve();
			};
			this.sleepers.add(wake);
			if (seconds < Infinity) stop = this.environment.after(Math.max(seconds, 0), wake);
		});
	}
};
// src/core/chunkSize.ts
/**
 * How large the next request may be: what the network path to one origin lets through, and how fast.
 *
 * Rule 1: no clock and no I/O, as in `plan.ts`.
 *
 * Rule 2: a trial (a request larger than any that has passed) is at most twice what has passed, and
 * smaller than anything that was refused. Above `COMMON`, a refusal of it may cost at most one percent
 * of the bytes that this path carries.
 *
 * Rule 3: until the speed of a path is known, one small chunk is sent at a time, whatever size passes.
 */
var KiB = 1024;
var MiB = 1024 * KiB;
/** No chunk is cut smaller (bytes). */
var FLOOR = 64 * KiB;
/** The first chunk of a path of which the speed or what passes is unknown. */
var FIRST = 128 * KiB;
/** The largest file that goes in one request there: chunks would need three more requests. */
var WHOLE = 512 * KiB;
/** The smallest limit in wide use: nginx's default. */
var COMMON = MiB;
/** What a refusal throws away, where its answer ends the request. */
var PIECE = FLOOR;
/** A trial is made if the path carries this many times what its refusal throws away. */
var SHARE = 100;
/**
 * A request should take no longer (seconds). The first one is sent alone, and at most four at once
 * share the line after it: so none takes longer than five times this.
 */
var FAST = 5;
/** A request that fails after this many seconds may have met a proxy's timeout. */
var TIMER = 20;
/** No proxy's timeout is shorter (seconds). */
var SOON = 2;
/** The times of two failures are the same if they differ by less than this part. */
var ALIKE = .2;
/** At most so many requests share the line (see `FAST`), so one should take this part of a timeout. */
var SHARERS = 5;
/** No request counts as faster (seconds). */
var INSTANT = .001;
function unknownPath(since = Infinity) {
	return {
		since,
		passed: 0,
		refused: Infinity,
		pace: 0,
		broke: 0,
		timer: Infinity,
		carried: 0,
		isEarly: false,
		takesWhole: true,
		asForm: false,
		report: null
	};
}
/** How large a request may be (bytes); learned while sending. */
var ChunkSize = class {
	constructor(path = unknownPath()) {
		this.path = path;
		this.preferred = 5 * MiB;
		this.floor = FLOOR;
	}
	/** Set what the server offers. What was learned of the path stays. */
	offered(preferred, floor) {
		this.preferred = preferred;
		this.floor = floor;
	}
	/** Take what the server knows of the path, where this client has not seen otherwise. */
	told(passes, refuses) {
		const { path } = this;
		if (passes && passes < path.refused) path.passed = Math.max(path.passed, passes);
		else if (passes && !path.report) path.refused = Infinity;
		if (refuses && path.refused === Infinity && refuses > path.passed) path.refused = refuses;
	}
	/** How large the next request may be, if `left` bytes are to be sent; `first`: of an unknown path. */
	now(left, first = FIRST) {
		const { carried, isEarly, pace, passed, refused } = this.path;
		const most = Math.min(this.preferred, pace || first);
		let size = Math.min(Math.max(first, this.onGrid(2 * passed)), most);
		const thrownAway = isEarly ? PIECE : size;
		if (size >= refused) size = passed;
		else if (size > Math.max(passed, COMMON) && thrownAway * SHARE > left + carried) size = Math.max(passed, COMMON);
		return this.onGrid(Math.min(size, most));
	}
	/** Whether to send a file of this size in one request. */
	takesWhole(size) {
		return this.path.takesWhole && size <= this.now(size, WHOLE);
	}
	isProven(size) {
		return size <= this.path.passed;
	}
	/** The largest size of a chunk that is sure to pass; 0 if there is none. */
	get proven() {
		return this.path.passed - this.path.passed % this.floor;
	}
	notePassed(size, seconds) {
		const { path } = this;
		path.passed = Math.max(path.passed, size);
		path.carried += size;
		if (seconds > path.timer) path.timer = Infinity;
		const fast = Math.min(FAST, path.timer / SHARERS);
		const suits = this.onGrid(size * fast / Math.max(seconds, INSTANT));
		if (seconds > fast) path.pace = suits;
		else if (size >= this.floor) path.pace = Math.max(path.pace, suits);
	}
	/** The size was refused. Returns false if no smaller one can be tried. */
	noteRefused(size, { facts }) {
		const { path } = this;
		const { code, refused_by } = facts;
		if (!code) path.report = {
			refused: size,
			...refused_by ? { refused_by } : null
		};
		if (this.isProven(size)) {
			path.passed = 0;
			path.refused = size;
		}
		path.refused = Math.min(path.refused, size);
		return size > this.floor;
	}
	/** A request that began after the last failure failed after so many seconds. */
	noteFailed(size, seconds) {
		const { path } = this;
		const before = path.broke;
		path.broke = seconds;
		if (seconds > TIMER) path.pace = this.onGrid(size / 2);
		else if (seconds > SOON && Math.abs(seconds - before) < before * ALIKE) {
			path.timer = seconds;
			path.pace = this.onGrid(size / SHARERS);
		}
	}
	/**
	 * A request failed although the server is up. If this size has never passed, it counts as
	 * refused, and the result is true. A filter's page refuses the kind of the body, unless a smaller
	 * one has passed: from then on, bodies are forms. Throws its error if that does not help either.
	 */
	noteSuspected(size, error) {
		const { path } = this;
		const isPage = isFiltered(error);
		if (isPage && !path.asForm && (this.isProven(size) || !path.passed)) {
			path.asForm = true;
			return false;
		}
		if (isPage && size <= this.floor) throw error;
		const isRefused = size > this.floor && (isPage || !this.isProven(size));
		if (isRefused) this.noteRefused(size, error);
		return isRefused;
	}
	onGrid(size) {
		return Math.max(size - size % this.floor, this.floor);
	}
};
// src/core/oneRequest.ts
var OneRequest = class {
	constructor(length, size, margin = 0) {
		this.length = length;
		this.size = size;
		this.margin = margin;
		this.key = null;
		this.isUnclear = false;
		this.suspected = null;
	}
	/** What to do now: ask the server what it has, send the file, or send chunks instead. */
	get next() {
		if (this.isUnclear) return "ask";
		return this.size.takesWhole(this.length + this.margin) ? "send" : "chunks";
	}
	/** Apply a failure to send. */
	failed(error, seconds) {
		const { length, size } = this;
		const next = whatNext(error, "upload");
		this.isUnclear = next !== "smaller";
		if (this.isUnclear) size.noteFailed(length, seconds);
		else if (error instanceof TooLarge) size.noteRefused(length, error);
		else if (!(error instanceof NoRoom) && (size.path.asForm || error.status === 404 || !isFiltered(error))) size.path.takesWhole = false;
		this.suspected = mayHideRefusal(error, next) ? error : null;
	}
	/** The server has nothing. True if the file was refused for its size, in disguise. */
	absent() {
		this.isUnclear = false;
		return !!this.suspected && this.size.noteSuspected(this.length, this.suspected);
	}
};
// src/core/answers.ts
/**
 * What the server's answers mean: pure functions from an HTTP answer to a value or an error.
 *
 * Rule 1: an answer that is not Wherry's (a proxy's page, a login form, a wrong address)
 * is an error, never a value with missing fields.
 *
 * Rule 2: nothing depends on a header that browsers may hide across origins.
 *
 * Rule 3: a refusal is Wherry's only if it has Wherry's mark, the type `urn:wherry:problem:...`.
 * Applications and proxies send problem documents, too.
 */
/** Throws `UnexpectedAnswer`. */
function parseUpload(answer) {
	const data = parseObject(answer);
	const { upload_id: uploadId, state } = data;
	const limits = data["limits"] ?? {};
	const direct = data["direct"] ?? {};
	const path = data["path"] ?? {};
	const early = data["early"] ?? {};
	const areStrings = typeof uploadId === "string" && typeof state === "string";
	const areObjects = isObject(limits) && isObject(direct) && isObject(path) && isObject(early);
	if (!areStrings || !areObjects) throw unexpected(answer);
	const count = (value) => {
		if (value == null || isCount(value)) return value ?? null;
		throw unexpected(answer);
	};
	const position = count(data["position"]);
	return {
		uploadId,
		state,
		isWaiting: state === "waiting" || state === "receiving" && position !== null,
		received: ranges(answer, data["received"] ?? []),
		position,
		retryAfter: retryAfter(answer, data),
		chunkSize: count(data["chunk_size"]),
		minChunk: count(limits["min_chunk"]),
		concurrency: count(data["concurrency"]),
		partSize: count(direct["part_size"]) || null,
		tail: count(early["tail"]) || null,
		passes: count(path["passes"]),
		refuses: count(path["refuses"]),
		result: {
			assessment_id: null,
			...data
		}
	};
}
/** The ranges that the server lacks, from its answer to a chunk. Throws `UnexpectedAnswer`. */
function parseMissing(answer) {
	const data = parseObject(answer);
	if (!isCount(data["received_bytes"])) throw unexpected(answer);
	return ranges(answer, data["missing"]);
}
/**
 * Whether a request may succeed later, if no problem document says so. 499 is Caddy's for a body that
 * takes too long; 52x is Cloudflare's.
 */
var RETRYABLE = /408|425|429|499|50[0234]|52./;
/** The error that an answer with a status of 300 or more stands for. */
function parseError(answer) {
	const { status } = answer;
	const problem = parseProblem(answer);
	const data = text(problem["type"]).startsWith("urn:wherry:problem:") ? problem : null;
	const by = data ? "" : refusedBy(answer);
	const facts = data ?? (by ? { refused_by: by } : {});
	const code = text(facts["code"]);
	const wait = retryAfter(answer, facts);
	const more = {
		code,
		status,
		retryable: typeof facts["retryable"] === "boolean" ? facts["retryable"] : RETRYABLE.test(`${status}`),
		hint: text(facts["hint"]),
		retryAfter: wait,
		facts
	};
	if (status === 413 || status === 404 && !data && /\b404\.13\b/.test(answer.text)) return new TooLarge(facts["scope"] === "file" ? "The file is too large for the server." : `The request is too large for ${by || "the server or a proxy"}.`, {
		...more,
		status: 413,
		hint: more.hint || "Upload in chunks, or raise the limit: `wherry doctor` finds it."
	});
	if (status < 400) return unexpected(answer, false);
	const said = text(problem["detail"]) || text(problem["title"]);
	const is = (kind, message, hint = "") => new kind(said || message, {
		...more,
		hint: more.hint || hint
	});
	const login = "Log in and upload again: what has arrived is kept.";
	if (status === 401) return is(Unauthorized, "The login is missing or expired.", login);
	if (status === 403) return is(Unauthorized, "This login may not do this.", login);
	if (code === "upload-gone" || code === "upload-not-found") return is(UploadGone, "The upload is gone.");
	if (code ? /^(no-room|waiting|disk-full)$/.test(code) : [429, 503].includes(status) && wait !== null && more.retryable) return is(NoRoom, "The server is full.");
	if (status === 507) return is(NoSpace, "The server has no space for this file.");
	if (status === 404 || status === 405) return is(Refused, "There is no upload server here.", "Check the endpoint: the address before /chunked-upload.");
	if (status < 500) return is(Refused, "The server refused the request.");
	return is(ServerFailed, "The server or a proxy failed.");
}
/** Whether every byte has arrived, from any client. `init` would begin a second upload then. */
function isBrought({ state }) {
	return state === "completing" || state === "complete";
}
/** Throws `UploadGone`. */
function checkNotGone({ state, result }) {
	if (/cancelled|expired|failed/.test(state)) throw new UploadGone(`The upload is ${state}.`, {
		code: "upload-gone",
		facts: result
	});
}
/** How the pages of nginx, and of what is made from it, name their server. */
var NAME_ON_PAGE = /<hr><center>([\w./-]{1,40})</i;
/**
 * Who answered, by its page, or else by the Server header; empty if neither says it, or the browser hides
 * it. An outer proxy puts its own header on the page of an inner one, so the page counts first.
 */
function refusedBy({ headers, text }) {
	return (NAME_ON_PAGE.exec(text)?.[1] ?? /^[\w./-]{1,40}/.exec(headers["server"] ?? "")?.[0])?.toLowerCase() ?? "";
}
/** A problem document, whoever has sent it; empty if the answer is something else. */
function parseProblem(answer) {
	if (!/^application\/problem\+json\s*(;|$)/i.test(answer.headers["content-type"] ?? "")) return {};
	try {
		return parseObject(answer);
	} catch {
		return {};
	}
}
function parseObject(answer) {
	let data;
	try {
		data = JSON.parse(answer.text);
	} catch {}
	if (!isObject(data)) throw unexpected(answer);
	return data;
}
function unexpected(answer, retryable = true) {
	return new UnexpectedAnswer("The answer does not come from Wherry.", {
		code: "unexpected-answer",
		status: answer.status,
		retryable,
		hint: "Check the endpoint and the login."
	});
}
function isObject(value) {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}
function text(value) {
	return typeof value === "string" ? value : "";
}
function isCount(value) {
	return Number.isSafeInteger(value) && value >= 0;
}
function ranges(answer, value) {
	const isRange = (pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isCount) && pair[0] < pair[1];
	if (Array.isArray(value) && value.every(isRange)) return value;
	throw unexpected(answer);
}
/**
 * RFC 9110 section 10.2.3: seconds, or a date. The body takes precedence over the header, which
 * proxies change and browsers hide.
 */
function retryAfter(answer, facts) {
	const said = facts["retry_after"];
	if (typeof said === "number" && said >= 0 && said < Infinity) return said;
	const header = answer.headers["retry-after"] ?? "";
	const seconds = /^\d+$/.test(header) ? Number(header) : / GMT$/.test(header) ? Math.max((Date.parse(header) - Date.now()) / 1e3, 0) : NaN;
	return Number.isFinite(seconds) ? seconds : null;
}
// src/core/direct.ts
/**
 * Parts that go to the object store directly: where to, and when to give that up.
 *
 * Rule 1: no clock, no randomness, no I/O, as in `plan.ts`. The twin of direct.py; `tests/vectors`
 * (`direct.json`) says what both do.
 *
 * Rule 2: nothing shows whether this browser reaches the store, until it has tried: a firewall or a
 * missing CORS rule may prevent it. So one failure is enough while nothing has ever passed; after
 * that, several in a row are.
 */
/** So many failures in a row close the way. Those that were in flight together count once. */
var TRIES = 5;
/** A larger part goes in chunks (bytes): when it fails, all of it is sent again. */
var LARGEST_PART = 64 * MiB;
/** The way to the object store, as all uploads of a page have found it. */
var DirectWay = class {
	constructor() {
		this.isOpen = true;
		this.hasPassed = false;
		this.failures = 0;
		this.failedAt = -Infinity;
	}
	/** A part has arrived. A request that began before the last failure proves nothing. */
	passed(began) {
		this.hasPassed = true;
		if (began >= this.failedAt) this.failures = 0;
	}
	/** Whether to try the part again. Otherwise, it goes in chunks, and so does everything else. */
	failed(failure, began, now) {
		if (!this.hasPassed && failure !== "expired" && !isTemporary(failure)) this.isOpen = false;
		if (!this.failures || began >= this.failedAt) {
			this.failures += 1;
			this.failedAt = now;
		}
		if (this.failures >= TRIES) this.isOpen = false;
		return this.isOpen;
	}
};
function isTemporary(failure) {
	return [
		408,
		425,
		429
	].includes(failure) || failure >= 500;
}
/** Of an answer of the store with a status of 300 or more. */
function failureOf({ status, text }) {
	return status === 403 && /expired/i.test(text) ? "expired" : status;
}
/** By the numbers of their parts. Throws `UnexpectedAnswer`. */
function parseAddresses(answer) {
	const { parts } = parseObject(answer);
	const parse = ({ url, method, headers }) => ({
		url: webAddress(url),
		method: String(method),
		headers: Object.fromEntries(Object.entries(headers))
	});
	try {
		return new Map(parts.map((part) => [Number(part.number), parse(part)]));
	} catch {
		throw unexpected(answer);
	}
}
function webAddress(text) {
	const { protocol, href } = new URL(text);
	if (!/^https?:$/.test(protocol)) throw new TypeError(text);
	return href;
}
// src/core/earlyVerdict.ts
/** How often one upload asks. */
var MOST$1 = 6;
/** The verdict is of use while the rest takes at least so long (seconds). */
var LEAST_LEFT = 20;
/** Of the beginning, at least this much must have arrived (bytes). */
var BEGINNING = 65536;
var EarlyQuestions = class {
	/** `tail`: how many bytes of the end the server wants second; null: it is not asked. */
	constructor(length, tail) {
		this.needs = [];
		this.left = MOST$1;
		if (tail) this.needs = [[0, Math.min(BEGINNING, length)], [Math.max(length - tail, 0), length]];
	}
	/**
	 * Whether to ask now. The next question is due after the answer, if that wants one.
	 * `secondsLeft`: until all is sent; null while nobody knows.
	 */
	isDue(isSafe, secondsLeft) {
		if (secondsLeft === null || secondsLeft < LEAST_LEFT) return false;
		if (!this.needs.length || !this.left || !this.needs.every(isSafe)) return false;
		this.needs = [];
		this.left -= 1;
		return true;
	}
	/** The verdict; null if the server lacks bytes for it, or has none. */
	answered({ state, needs, verdict, policy, findings }) {
		if (state === "more" && Array.isArray(needs)) this.needs = [needs];
		if (state !== "known" || !Array.isArray(findings)) return null;
		return {
			verdict: String(verdict),
			policy: String(policy),
			findings
		};
	}
};
// src/core/gathering.ts
/**
 * Small requests of one kind that are wanted at the same time become one.
 *
 * While one request is in flight, the others wait, and are sent together after it.
 */
/** One request names at most so many parts. */
var MOST = 100;
/** `A`: what is said of each part. `R`: the answer, which all parts of a request get. */
var Gathering = class {
	constructor(request) {
		this.request = request;
		this.next = null;
		this.last = Promise.resolve();
	}
	ask(number, argument) {
		if (!this.next || this.next.asked.size >= MOST) {
			const asked = /* @__PURE__ */ new Map();
			const answer = this.last.then(() => {
				if (this.next === next) this.next = null;
				return this.request(asked);
			});
			const next = {
				asked,
				answer
			};
			this.next = next;
			this.last = answer.catch(() => void 0);
		}
		this.next.asked.set(number, argument);
		return this.next.answer;
	}
};
// src/core/partSending.ts
/** The server wants this part in chunks, or has no such route. */
var NOT_DIRECT = [
	"bad-request",
	"not-found",
	"method-not-allowed",
	""
];
/** The store has not taken the part, and it may be tried again. */
var StoreFailed = class extends UploadFailure {};
/** The part has to go in chunks. `isAll`: so does everything else of this upload. */
var InChunks = class extends Error {
	constructor(isAll) {
		super();
		this.isAll = isAll;
	}
};
var PartSending = class {
	constructor(context, way, uploadId) {
		this.context = context;
		this.way = way;
		const { control, retrying, wire } = context;
		const signal = control.halt;
		this.addresses = new Gathering((crcs) => retrying.ask("status", () => wire.addresses(uploadId, crcs, signal), false));
		this.reports = new Gathering((numbers) => retrying.ask("status", () => wire.report(uploadId, [...numbers.keys()], signal).catch((error) => {
			if (error instanceof Refused && error.code === "parts-missing") return error;
			throw error;
		})));
	}
	/**
	 * Returns what the server still lacks; null if it has the part already.
	 *
	 * Throws `StoreFailed`, `InChunks`, and other failures of Wherry itself.
	 */
	async send(number, part, signal, onSent) {
		const address = await this.addressOf(number, part.crc);
		if (!address) return null;
		if (!this.way.isOpen) throw new InChunks(true);
		const began = this.context.environment.now();
		await this.put(address, part.range, signal, onSent, began);
		this.way.passed(began);
		const reported = await this.reports.ask(number, null);
		if (!(reported instanceof Refused)) return reported;
		const { parts } = reported.facts;
		if (Array.isArray(parts) && !parts.includes(number)) return null;
		throw this.failed(404, began, "The object store has taken the part, and does not have it.");
	}
	async addressOf(number, crc) {
		try {
			return (await this.addresses.ask(number, crc)).get(number);
		} catch (error) {
			if (!(error instanceof Refused) || !NOT_DIRECT.includes(error.code)) throw error;
			throw new InChunks(error.code !== "bad-request" || error.facts["field"] !== "parts");
		}
	}
	async put(address, range, signal, onSent, began) {
		const { source, wire } = this.context;
		let answer;
		try {
			answer = await wire.put(address, source.slice(range), signal, onSent);
		} catch (error) {
			if (!(error instanceof ConnectionLost)) throw error;
			await source.checkReadable();
			if (error.code === "offline") throw new StoreFailed(error.message, error);
			throw this.failed("network", began, error.message);
		}
		if (answer.status >= 300) {
			const message = `The object store answers with status ${answer.status}.`;
			throw this.failed(failureOf(answer), began, message);
		}
	}
	failed(failure, began, message) {
		const now = this.context.environment.now();
		if (!this.way.failed(failure, began, now)) return new InChunks(true);
		return new StoreFailed(message, {
			code: "store-failed",
			retryable: true
		});
	}
};
// src/core/plan.ts
/** The server lists at most this many gaps in its answer to a chunk. */
var LISTED = 100;
/** The bytes of one upload: to send, in flight, or acknowledged. */
var Plan = class {
	/**
	 * `missing`: the ranges to send, sorted or not. `partSize`: of the parts that may go to the object
	 * store; null if all bytes go in chunks. `tail`: how many bytes of the end come second.
	 */
	constructor(length, missing, size, concurrency, backoff, partSize = null, tail = 0) {
		this.length = length;
		this.size = size;
		this.concurrency = concurrency;
		this.backoff = backoff;
		this.partSize = partSize;
		this.flying = /* @__PURE__ */ new Set();
		this.fromEnd = false;
		this.turnedAt = 0;
		this.failedAt = -Infinity;
		this.lasted = 0;
		this.mustLook = false;
		this.suspected = null;
		this.inChunks = [];
		this.toSend = this.onGrid(missing);
		this.tail = tail ? this.onGrid([[Math.max(length - tail, 0), length]]) : [];
		if (partSize && partSize % size.floor) this.partSize = null;
		this.inChunks.push([0, partSize ?? 0]);
	}
	get isDone() {
		return this.toSend.length === 0 && this.flying.size === 0;
	}
	/** The ranges in flight. */
	get sending() {
		return [...this.flying].map((chunk) => chunk.range);
	}
	/** The acknowledged ranges. */
	get safe() {
		return gaps([...this.toSend, ...this.sending], this.length);
	}
	/** The number of acknowledged bytes. */
	get bytesSafe() {
		return this.length - bytesIn(this.toSend) - bytesIn(this.sending);
	}
	/** Whether all bytes of a range are acknowledged. */
	isSafe(range) {
		return !overlap([...this.toSend, ...this.sending], [range]).length;
	}
	/** How large the next chunk may be. */
	get chunkSize() {
		return this.size.now(this.length - this.bytesSafe);
	}
	/** The chunk to send now; null if a chunk in flight or a pause has to end first. */
	next(now) {
		if (this.mustLook || now < this.backoff.until) return null;
		if (this.flying.size >= (this.backoff.inTrouble ? 1 : this.concurrency)) return null;
		const forStore = this.forStore;
		const range = this.nextChunk(this.due(overlap(this.toSend, gaps(forStore, this.length))));
		const chunk = range ? {
			range,
			began: now,
			part: null
		} : this.nextPart(forStore, now);
		if (!chunk) return null;
		this.flying.add(chunk);
		this.toSend = overlap(this.toSend, gaps([chunk.range], this.length));
		return chunk;
	}
	/** Those of the ranges that come first: the end, once the beginning is on its way. */
	due(ranges) {
		if (this.fromEnd || !this.toSend[0]?.[0]) return ranges;
		const tail = overlap(ranges, this.tail);
		return tail.length ? tail : ranges;
	}
	nextChunk(forChunks) {
		const gap = this.fromEnd ? forChunks.at(-1) : forChunks[0];
		if (!gap) return null;
		let size = this.backoff.inTrouble ? this.size.floor : this.chunkSize;
		for (const { part, range } of this.flying) {
			if (part) continue;
			if (!this.size.path.pace) return null;
			if (!this.size.isProven(range[1] - range[0])) size = Math.min(size, this.size.proven);
		}
		return size ? this.cut(gap, size) : null;
	}
	nextPart(forStore, now) {
		const stretch = this.fromEnd ? forStore.at(-1) : forStore[0];
		if (!stretch) return null;
		const size = this.partSize;
		const start = this.fromEnd ? Math.floor((stretch[1] - 1) / size) * size : stretch[0];
		return {
			range: [start, Math.min(start + size, this.length)],
			began: now,
			part: start / size + 1
		};
	}
	/** What is to be sent in whole parts, to the object store. */
	get forStore() {
		const { length, partSize: size } = this;
		if (!size) return [];
		return overlap(this.toSend.map(([start, end]) => [Math.ceil(start / size) * size, end < length ? Math.floor(end / size) * size : length]), gaps(this.inChunks, length));
	}
	/** From now on, all bytes go in chunks. */
	endDirect() {
		this.partSize = null;
	}
	/** Take back a part that the server wants in chunks. */
	toChunks(chunk) {
		this.tookBack(chunk);
		this.inChunks.push(chunk.range);
	}
	/** The bytes of the chunk are acknowledged. */
	passed(chunk, now) {
		this.flying.delete(chunk);
		this.lasted = now - chunk.began;
		if (!chunk.part) this.size.notePassed(chunk.range[1] - chunk.range[0], this.lasted);
		this.backoff.progressed(chunk.began);
	}
	/** Apply the server's list of what it lacks: another tab may have sent some ranges. */
	learned(missing) {
		const unlisted = missing.length < LISTED ? [] : [[missing.at(-1)[1], this.length]];
		this.toSend = overlap(this.toSend, this.onGrid([...missing, ...unlisted]));
	}
	/** The chunk was aborted here. Its range is sent again; this is no failure. */
	tookBack(chunk) {
		this.flying.delete(chunk);
		this.toSend = merge([...this.toSend, chunk.range]);
	}
	/**
	 * Apply the status of the upload. Returns the size that was refused although the error did not
	 * say so, if there is one: the server was up all the time, and the range did not arrive. Throws the
	 * error of a filter that refuses the smallest chunk in every form.
	 */
	looked(received) {
		const { suspected } = this;
		const missing = gaps(received, this.length);
		this.mustLook = false;
		this.suspected = null;
		this.toSend = overlap(this.toSend, this.onGrid(missing));
		if (suspected?.failures !== this.backoff.failures) return null;
		const { error, range } = suspected;
		const size = range[1] - range[0];
		return overlap([range], missing).length && this.size.noteSuspected(size, error) ? size : null;
	}
	/**
	 * Take the range of a failed chunk back, to be cut anew. True if it was refused for its size.
	 *
	 * Throws what a retry cannot mend: `error` itself, or `GaveUp`.
	 */
	failed(chunk, error, now, jitter) {
		this.tookBack(chunk);
		const { backoff } = this;
		const size = chunk.range[1] - chunk.range[0];
		const next = whatNext(error, "chunk");
		if (next === "smaller") {
			if (!this.size.noteRefused(size, error)) throw error;
			return true;
		}
		if (!error.retryable && next !== "look") throw error;
		if (next === "look" || next === "line") this.mustLook = true;
		if (error instanceof NoRoom || next === "wait") {
			backoff.waits(error, now);
			return false;
		}
		if (error.code === "superseded" && chunk.began >= this.turnedAt) {
			this.fromEnd = !this.fromEnd;
			this.turnedAt = now;
			backoff.until = Math.max(backoff.until, now + (1 + jitter) * this.lasted);
		}
		if (chunk.began >= this.failedAt) {
			this.size.noteFailed(size, now - chunk.began);
			this.failedAt = now;
		}
		backoff.failed(error, chunk.began, now, jitter);
		if (mayHideRefusal(error, next)) this.suspected = {
			range: chunk.range,
			error,
			failures: backoff.failures
		};
		return false;
	}
	cut([start, end], size) {
		if (!this.fromEnd) return [start, Math.min(end, start + size)];
		const floor = this.size.floor;
		return [Math.max(start, Math.ceil((end - size) / floor) * floor), end];
	}
	/** Widened to multiples of the floor. The server skips what it already has. */
	onGrid(ranges) {
		const floor = this.size.floor;
		return merge([...ranges].map(([start, end]) => [Math.floor(start / floor) * floor, Math.min(Math.ceil(end / floor) * floor, this.length)]));
	}
};
// src/core/sending.ts
/** Sends the missing bytes of one upload, as the plan says: in chunks, and parts to the object store. */
/** Chunks in flight at once, if the server does not say. */
var CONCURRENCY = 4;
var Sending = class {
	/** `readStatus`: reads the status of the upload, and waits while the upload is queued. */
	constructor(context, opened, readStatus) {
		this.context = context;
		this.opened = opened;
		this.readStatus = readStatus;
		this.ended = new AbortController();
		const { environment, options, reporter, retrying, size, source, wire } = context;
		const missing = gaps(opened.received, source.size);
		const allowed = opened.concurrency ?? CONCURRENCY;
		const concurrency = Math.max(Math.min(options.concurrency ?? allowed, allowed), 1);
		const way = this.way = environment.ways.get(wire.endpoint) ?? new DirectWay();
		environment.ways.set(wire.endpoint, way);
		this.parts = new PartSending(context, way, opened.uploadId);
		const { partSize } = opened;
		const direct = way.isOpen && (partSize ?? 0) <= LARGEST_PART ? partSize : null;
		const { backoff } = retrying;
		const tail = opened.tail ?? 0;
		this.plan = new Plan(source.size, missing, size, concurrency, backoff, direct, tail);
		this.early = new EarlyQuestions(source.size, options.onEarly ? opened.tail : null);
		reporter.where = this.plan;
		reporter.chunkSize = this.plan.chunkSize;
	}
	/** The digest of the whole file; null if another client has sent the rest of it. */
	async send() {
		const { control, environment, parts, retrying, source } = this.context;
		const { plan } = this;
		this.context.report("sending");
		const check = () => control.check();
		const unread = overlap(parts.missing(source.size), plan.safe);
		const reading = source.digestRest(parts, unread, check);
		reading.catch(() => void 0);
		const flying = /* @__PURE__ */ new Set();
		let failure;
		const fly = (chunk) => {
			const flight = this.sendChunk(chunk).catch((error) => void (failure ??= error)).finally(() => {
				flying.delete(flight);
				control.wake();
			});
			flying.add(flight);
		};
		try {
			while (!plan.isDone) {
				if (failure) throw failure;
				check();
				const { secondsLeft } = this.context.reporter.details;
				if (this.early.isDue((range) => plan.isSafe(range), secondsLeft)) this.askEarly();
				if (plan.mustLook && !flying.size) {
					const seen = await this.readStatus();
					if (isBrought(seen)) return null;
					const refused = plan.looked(seen.received);
					if (refused) this.context.noteRefused(refused);
				}
				const now = environment.now();
				const chunk = plan.next(now);
				const pause = retrying.backoff.until - now;
				if (chunk) fly(chunk);
				else if (!plan.isDone) await control.rest(pause > 0 ? pause : Infinity);
			}
			if (failure) throw failure;
		} catch (error) {
			control.endChunks();
			await Promise.all(flying);
			control.check();
			if (nextAfter(error, "chunk") === "complete") return null;
			throw error;
		} finally {
			this.ended.abort();
		}
		await reading;
		await source.digestRest(parts, parts.missing(source.size), check);
		return parts.crc;
	}
	/** Ask once for the early verdict, and tell it. */
	async askEarly() {
		const { control, options, wire } = this.context;
		let found;
		try {
			found = this.early.answered(await wire.earlyVerdict(this.opened.uploadId, this.ended.signal));
		} catch {
			return;
		}
		if (this.ended.signal.aborted) return;
		if (found) options.onEarly?.(found);
		control.wake();
	}
	async sendChunk(chunk) {
		const { control, environment, parts, reporter, retrying, source, wire } = this.context;
		const { backoff } = retrying;
		const { plan } = this;
		const signal = control.halt;
		const size = chunk.range[1] - chunk.range[0];
		const onSent = reporter.flight(!!chunk.part || plan.size.isProven(size));
		try {
			const part = await source.digest(chunk.range);
			if (environment.now() < backoff.until) return plan.tookBack(chunk);
			if (!backoff.inTrouble) this.context.report("sending");
			else this.context.report(reporter.state, {
				...reporter.stateDetails,
				retryAfter: null
			});
			chunk.began = environment.now();
			const missing = chunk.part ? await this.parts.send(chunk.part, part, signal, onSent) : await wire.chunk(this.opened.uploadId, source.slice(chunk.range), part, signal, onSent);
			plan.passed(chunk, environment.now());
			if (!chunk.part) this.context.remember();
			if (missing) plan.learned(missing);
			parts.add(part);
			if (!backoff.inTrouble) this.context.report("sending");
		} catch (error) {
			if (chunk.part) this.partFailed(chunk, error);
			else await this.chunkFailed(chunk, error);
		} finally {
			if (!this.way.isOpen) plan.endDirect();
			onSent(0);
			reporter.chunkSize = plan.chunkSize;
		}
	}
	async chunkFailed(chunk, error) {
		const { context, plan } = this;
		if (!(error instanceof UploadFailure)) throw error;
		plan.tookBack(chunk);
		if (error instanceof Aborted) return;
		if (error instanceof ConnectionLost) await context.source.checkReadable();
		const { environment } = context;
		if (plan.failed(chunk, error, environment.now(), environment.jitter())) context.noteRefused(chunk.range[1] - chunk.range[0]);
		if (!(error instanceof TooLarge)) context.reportTrouble(error);
	}
	partFailed(chunk, error) {
		const { context, plan } = this;
		const { environment, retrying } = context;
		if (error instanceof InChunks) {
			plan.toChunks(chunk);
			if (error.isAll) plan.endDirect();
			return;
		}
		plan.tookBack(chunk);
		if (!(error instanceof StoreFailed)) throw error;
		try {
			retrying.backoff.failed(error, chunk.began, environment.now(), environment.jitter());
			context.reportTrouble(error);
		} catch (failure) {
			if (!(failure instanceof GaveUp)) throw failure;
			this.way.isOpen = false;
		}
	}
};
// src/core/tabs.ts
/**
 * Two tabs with the same file: one sends, the others watch, and one of them takes over when it ends.
 *
 * Rule 1: without locks (plain http, old browsers) every tab sends. This is slower and just as
 * correct: the server keeps the first of two bytes.
 */
/**
 * Calls `send` while holding the lock `name`, and `watch` while another tab holds it.
 *
 * `watch` returns the result of the other tab, or null as soon as `holdsLock()`; then `send` is
 * called. `wake` is called when this tab gets the lock.
 */
async function sendFromOneTab(locks, name, send, watch, wake) {
	if (!locks) return send();
	let isFirst = false;
	try {
		const first = await locks.request(name, { ifAvailable: true }, async (lock) => {
			isFirst = lock !== null;
			return lock && { done: await send() };
		});
		if (first) return first.done;
	} catch (error) {
		if (isFirst) throw error;
		return send();
	}
	const waiting = new AbortController();
	let isOurs = false;
	let release = () => void 0;
	const released = new Promise((resolve) => release = resolve);
	const held = locks.request(name, { signal: waiting.signal }, () => {
		isOurs = true;
		wake();
		return released;
	}).catch(() => void 0);
	try {
		return await watch(() => isOurs) ?? await send();
	} finally {
		waiting.abort();
		release();
		await held;
	}
}
// src/core/unique.ts
/** A text that nothing else has. */
function unique() {
	return `unique-${crypto.getRandomValues(/* @__PURE__ */ new Uint32Array(4)).join("-")}`;
}
// src/core/run.ts
/**
 * One upload from its first request to its last.
 *
 * Rule 1: the algorithm is in `plan.ts`. This file only reads, sends, waits and reports.
 *
 * Rule 2: an end at any line, also a closed page, loses nothing that was acknowledged:
 * `init` with the same fingerprint finds the upload again.
 */
/** How often the server may lack bytes that it has acknowledged, until the upload fails. */
var ROUNDS = 3;
var Run = class {
	constructor(context, one) {
		this.context = context;
		this.one = one;
		this.uploadId = null;
		this.isOpened = false;
	}
	/** The network is back. */
	online() {
		this.context.retrying.backoff.online();
		this.context.control.wake();
	}
	/**
	 * Send the whole file in one request. Null if it is to be sent in chunks.
	 *
	 * `once`: do not send it again, and not in chunks. Throws `AnswerLost` if the upload may be complete.
	 */
	async inOneRequest(once) {
		const { context, one } = this;
		const isPossible = context.wire.isSameOrigin && !this.uploadId && one.next !== "chunks";
		if (!once && !isPossible) return null;
		context.report("starting");
		if (once && context.source.size >= context.size.path.refused) throw parseError({
			status: 413,
			text: "",
			headers: {}
		});
		let done;
		try {
			done = await context.control.inTurn(() => once ? this.sendWhole(true) : context.retrying.ask("upload", () => this.askOrSend()));
		} catch (error) {
			const next = nextAfter(error, "upload");
			if (next === "complete") done = { uploadId: String(error.facts["upload_id"]) };
			else if (once || next !== "smaller") throw error;
			else return null;
		}
		if (!done) return null;
		const { uploadId, state } = done;
		this.uploadId = uploadId;
		return this.finish(state === "complete" ? done : await this.complete(uploadId, null));
	}
	async askOrSend() {
		const { context, one } = this;
		const { control, source, wire } = context;
		if (one.next === "ask") {
			try {
				return await wire.keyed(one.key, null, control.end);
			} catch (error) {
				if (error instanceof UploadGone) one.key = null;
				else if (error.code !== "bad-request") {
					one.suspected = null;
					throw error;
				}
			}
			if (one.absent()) context.noteRefused(source.size);
		}
		return one.next === "send" ? this.sendWhole(false) : null;
	}
	async sendWhole(once) {
		const { context, one } = this;
		const { control, environment, reporter, source, wire } = context;
		let crc = 0n;
		if (once) await source.checkReadable();
		else crc = (await source.digest([0, source.size])).crc;
		control.check();
		const fly = reporter.flight(once || context.size.isProven(source.size));
		let isOut = false;
		context.report("sending");
		const began = environment.now();
		if (!once) {
			one.key ??= unique();
			one.isUnclear = true;
		}
		try {
			const done = await wire.whole(source, one.key, crc, control.halt, (loaded, total) => {
				isOut = loaded >= total;
				fly(total ? Math.floor(loaded / total * source.size) : 0);
			});
			context.size.notePassed(source.size, environment.now() - began);
			context.remember();
			return done;
		} catch (error) {
			control.check();
			if (error instanceof ConnectionLost) {
				await source.checkReadable();
				if (once && isOut) throw new AnswerLost(error);
			}
			if (error instanceof UploadFailure) one.failed(error, environment.now() - began);
			if (error instanceof TooLarge) context.noteRefused(source.size);
			throw error;
		} finally {
			fly(0);
		}
	}
	/** Send the bytes that the server lacks, and complete the upload. */
	async inChunks() {
		const { control, environment, options, source, wire } = this.context;
		this.context.report("starting");
		const fingerprint = options.fingerprint || await source.fingerprint();
		return sendFromOneTab(environment.locks(), `wherry ${wire.endpoint} ${fingerprint}`, () => this.bringOnceMore(fingerprint), (holdsLock) => this.watch(fingerprint, holdsLock), () => control.wake());
	}
	/** Brings the file, and begins anew once if the upload has expired meanwhile. */
	async bringOnceMore(fingerprint) {
		try {
			return await this.bring(fingerprint);
		} catch (error) {
			if (nextAfter(error, "chunk") !== "anew") throw error;
			this.uploadId = null;
		}
		return this.bring(fingerprint);
	}
	async bring(fingerprint) {
		let opened = await this.open(fingerprint);
		if (opened.state === "complete") return this.finish(opened);
		for (let round = 0; round < ROUNDS; round++) {
			const crc = await this.send(opened);
			await this.context.source.checkReadable();
			try {
				return this.finish(await this.complete(opened.uploadId, crc));
			} catch (error) {
				if (nextAfter(error, "complete") !== "missing") throw error;
			}
			const seen = await this.status(opened.uploadId);
			opened = {
				...opened,
				state: seen.state,
				received: seen.received
			};
		}
		throw new ServerFailed("The server lacks acknowledged bytes.", { code: "bytes-missing" });
	}
	/** The digest of the whole file; null if there is nothing to send any more. */
	async send(opened) {
		if (opened.state !== "receiving") return null;
		const readStatus = async () => this.waitInQueue(await this.status(opened.uploadId, false));
		return new Sending(this.context, opened, readStatus).send();
	}
	async init(fingerprint) {
		const { control, options, retrying, source, wire } = this.context;
		const facts = {
			filename: source.name,
			size: source.size,
			content_type: source.type,
			chunk_size: options.chunkSize,
			metadata: options.metadata,
			fingerprint,
			direct: true
		};
		const opened = await retrying.ask("init", () => wire.init(facts, control.end));
		this.uploadId = opened.uploadId;
		this.isOpened = true;
		control.check();
		return opened;
	}
	/** The status of the upload after a pause or a failure; null if there is none to continue. */
	async known() {
		const { uploadId } = this;
		if (!uploadId) return null;
		try {
			const seen = await this.status(uploadId);
			checkNotGone(seen);
			this.isOpened = true;
			return seen;
		} catch (error) {
			if (error instanceof UploadGone && (!this.isOpened || nextAfter(error, "status") === "anew")) return null;
			throw error;
		}
	}
	status(uploadId, isProgress = true) {
		const { control, retrying, wire } = this.context;
		return retrying.ask("status", () => wire.status(uploadId, control.end), isProgress);
	}
	async open(fingerprint) {
		const { environment, size, wire } = this.context;
		const known = await this.known();
		if (known && isBrought(known)) return known;
		let opened = await this.init(fingerprint);
		while (opened.isWaiting) {
			const seen = await this.waitInQueue(opened);
			if (isBrought(seen)) return seen;
			opened = await this.init(fingerprint);
		}
		size.offered(opened.chunkSize ?? size.preferred, Math.max(FLOOR, opened.minChunk ?? 0));
		size.told(opened.passes, opened.refuses);
		wire.path.isEarly = environment.isEarly(wire.origin);
		return opened;
	}
	/** Waits until the upload has left the queue. Returns its status then. */
	async waitInQueue(seen) {
		const { uploadId } = seen;
		while (seen.isWaiting) {
			const pause = pauseOf(seen);
			this.context.report("waiting", {
				position: seen.position,
				retryAfter: pause
			});
			await this.context.control.sleep(pause);
			seen = await this.status(uploadId);
		}
		checkNotGone(seen);
		return seen;
	}
	async complete(uploadId, crc) {
		const { control, retrying, wire } = this.context;
		for (;;) {
			this.context.report("completing");
			const done = await retrying.ask("complete", () => wire.complete(uploadId, crc, control.end));
			if (done.state === "complete") return done;
			await control.sleep(pauseOf(done));
		}
	}
	/** Another tab sends this file: report its progress. Null when it is up to this tab to send. */
	async watch(fingerprint, holdsLock) {
		const { context } = this;
		const { control, reporter } = context;
		for (;;) {
			const seen = await this.known() ?? await this.init(fingerprint);
			if (seen.state === "complete") return this.finish(seen);
			const bytesSafe = bytesIn(seen.received);
			reporter.noteSpeed(bytesSafe - reporter.where.bytesSafe);
			reporter.where = {
				safe: seen.received,
				sending: [],
				bytesSafe
			};
			const problem = "Another tab is sending this file.";
			if (seen.isWaiting) context.report("waiting", {
				position: seen.position,
				problem
			});
			else context.report(seen.state === "completing" ? "completing" : "sending", { problem });
			if (holdsLock()) return null;
			await control.sleep(pauseOf(seen), holdsLock);
		}
	}
	finish(done) {
		const { reporter, source } = this.context;
		const { size } = source;
		reporter.where = {
			safe: gaps([], size),
			sending: [],
			bytesSafe: size
		};
		this.context.report("done");
		return done.result;
	}
};
// src/core/source.ts
/**
 * The file that is being sent.
 *
 * Rule 1: at most `STEP` bytes of it are in memory at once, for the digest. Requests get slices,
 * which the browser reads by itself.
 *
 * Rule 2: the fingerprint finds the same upload again after a reload, without any stored state.
 * It is made of the name, the size, the time of the last change and samples of the content, so a
 * changed file never continues the upload of the old one.
 */
/** Changes when the fingerprint is made differently. */
var FINGERPRINT_VERSION = "j1";
var SAMPLES = 8;
var SAMPLE_SIZE = 65536;
var STEP = 1048576;
var Source = class {
	constructor(file, name, type) {
		this.file = file;
		this.size = file.size;
		this.name = name || file.name || "upload.bin";
		this.type = type || file.type || null;
	}
	slice([start, end]) {
		return this.file.slice(start, end);
	}
	/** Throws `FileChanged`. */
	async digest(range) {
		let crc = 0n;
		for (let at = range[0]; at < range[1]; at += STEP) crc = crc64(await this.read([at, Math.min(at + STEP, range[1])]), crc);
		return {
			range,
			crc
		};
	}
	/** Reads the ranges that `parts` lacks. Throws `FileChanged`, and what `check` throws. */
	async digestRest(parts, missing, check) {
		for (const [start, end] of missing) for (let at = start; at < end; at += STEP) {
			check();
			parts.add(await this.digest([at, Math.min(at + STEP, end)]));
		}
	}
	/** Throws `FileChanged` if the file is not the one that was chosen. */
	async checkReadable() {
		if (this.size) await this.read([this.size - 1, this.size]);
	}
	/** Throws `FileChanged`. */
	async fingerprint() {
		const changed = this.file.lastModified ?? "";
		const facts = new TextEncoder().encode(`${this.name}\0${this.size}\0${changed}`);
		const last = Math.max(this.size - SAMPLE_SIZE, 0);
		let samples = 0n;
		for (let n = 0; n < SAMPLES; n++) {
			const start = Math.floor(last * n / 7);
			samples = crc64(await this.read([start, Math.min(start + SAMPLE_SIZE, this.size)]), samples);
		}
		return [
			FINGERPRINT_VERSION,
			crc64(facts).toString(16),
			samples.toString(16)
		].join("-");
	}
	async read(range) {
		try {
			const bytes = new Uint8Array(await this.slice(range).arrayBuffer());
			if (bytes.length === range[1] - range[0]) return bytes;
		} catch (error) {
			throw unreadable(error);
		}
		throw unreadable();
	}
};
function unreadable(cause) {
	return new FileChanged("The file can no longer be read: it was changed, moved or deleted.", {
		code: "file-changed",
		hint: "Choose the file again.",
		cause
	});
}
// src/core/speed.ts
/**
 * How fast bytes move. Times are seconds on a steady clock, speeds bytes a second.
 *
 * Rule 1: where nothing moves there is no speed, so nobody reads a time from it.
 */
/** Speed is measured over the last `WINDOW` seconds, once there are `SHORTEST`. */
var WINDOW = 10;
var SHORTEST = .2;
/** A standstill longer than this (seconds) lowers the speed. */
var STILL = 2;
/** After a standstill of this many seconds there is no speed any more. */
var SILENT = 5;
/** Bytes are noted at most this often (seconds). */
var INTERVAL = .05;
var Speed = class {
	constructor() {
		this.moved = 0;
		this.noted = [];
	}
	/** So many more bytes have moved by now. */
	note(bytes, now) {
		if (bytes <= 0) return;
		this.moved += bytes;
		if (now - (this.noted.at(-1)?.[0] ?? -Infinity) >= INTERVAL) this.noted.push([now, this.moved]);
		while (this.noted[0] && this.noted[0][0] < now - WINDOW) this.noted.shift();
	}
	/** Null if there is too little to measure, or if nothing moves. */
	at(now) {
		const [from, before] = this.noted.find(([at]) => at >= now - WINDOW) ?? [now, 0];
		const [last, after] = this.noted.at(-1) ?? [now, 0];
		if (last - from <= SHORTEST || now - last > SILENT) return null;
		return (after - before) / ((now - last > STILL ? now : last) - from);
	}
};
// src/core/progress.ts
/**
 * Reports the progress of an upload to its caller.
 *
 * Rule 1: percent never goes down, and is 100 when all bytes are sent.
 *
 * Rule 2: the bytes of a request that may be refused for its size count when it is answered, and not while
 * they are sent. So no refused byte is progress.
 */
/** Without a change of state, progress is reported at most this often (seconds). */
var REPORT_INTERVAL = .05;
var ProgressReporter = class {
	constructor(total, now, onProgress) {
		this.total = total;
		this.now = now;
		this.onProgress = onProgress;
		this.where = {
			safe: [],
			sending: [],
			bytesSafe: 0
		};
		this.chunkSize = null;
		this.refusedSize = null;
		this.state = "starting";
		this.stateDetails = {};
		this.dueAt = null;
		this.flying = 0;
		this.speed = new Speed();
		this.reportedAt = -Infinity;
		this.percent = 0;
	}
	/**
	 * What notes the bytes of a request as they are sent: called with all of them so far, and with 0 when it
	 * has ended, whatever its answer. `isProven`: a request of this size has passed before.
	 */
	flight(isProven) {
		let before = 0;
		return (flown) => {
			const bytes = flown - before;
			before = flown;
			if (isProven) this.flying += bytes;
			if (!flown) return;
			this.noteSpeed(bytes);
			this.tick();
		};
	}
	/** Count bytes for the speed, whichever tab sends them. */
	noteSpeed(bytes) {
		this.speed.note(bytes, this.now());
	}
	/** Once a second: countdowns and a standstill become visible. */
	tick() {
		this.report(this.state, this.stateDetails);
	}
	report(state, about = {}) {
		const now = this.now();
		const isNew = state !== this.state || this.reportedAt === -Infinity;
		this.state = state;
		if (about !== this.stateDetails) this.dueAt = about.retryAfter == null ? null : now + about.retryAfter;
		this.stateDetails = about;
		if (!isNew && (state === "cancelled" || now - this.reportedAt < REPORT_INTERVAL)) return;
		this.reportedAt = now;
		const { details } = this;
		const { bytesSent } = details;
		const percent = this.total ? Math.round(bytesSent * 100 / this.total) : 0;
		this.percent = Math.max(this.percent, bytesSent < this.total ? Math.min(percent, 99) : percent);
		if (state === "completing" || state === "done") this.percent = 100;
		try {
			this.onProgress?.(this.percent, details);
		} catch (error) {
			Promise.reject(error);
		}
	}
	get details() {
		const { safe, sending, bytesSafe } = this.where;
		const bytesSent = Math.min(bytesSafe + this.flying, this.total);
		const speed = this.isMoving ? this.speed.at(this.now()) : null;
		const size = this.chunkSize;
		return {
			state: this.state,
			bytesTotal: this.total,
			bytesSent,
			bytesSafe,
			chunksTotal: size ? Math.ceil(this.total / size) : 0,
			chunksDone: size ? (bytesSafe < this.total ? Math.floor : Math.ceil)(bytesSafe / size) : 0,
			chunkSize: size,
			safe,
			sending,
			speed,
			secondsLeft: speed ? (this.total - bytesSent) / speed : null,
			position: this.stateDetails.position ?? null,
			retryAfter: this.dueAt === null ? null : Math.max(this.dueAt - this.now(), 0),
			refusedSize: this.refusedSize,
			problem: this.stateDetails.problem ?? null
		};
	}
	/** While an upload waits, it has no speed and no remaining time. */
	get isMoving() {
		return /sending|completing|done/.test(this.state);
	}
};
// src/core/transport.ts
/**
 * One HTTP request, by XMLHttpRequest: `fetch` does not report how much of a body is sent.
 *
 * Rule 1: it resolves with any answer, and rejects with `ConnectionLost` or `Aborted` only.
 */
/** A request fails after this many seconds without progress. */
var IDLE = 120;
/** `fetch` reports no progress, so its time limit allows for this many bytes a second. */
var SLOWEST = 32768;
var send = (asked) => asked.credentials === "omit" || typeof XMLHttpRequest === "undefined" ? sendByFetch(asked) : sendByXhr(asked);
function sendByXhr(asked) {
	return new Promise((resolve, reject) => {
		const xhr = new XMLHttpRequest();
		let timer;
		const moved = () => {
			clearTimeout(timer);
			timer = setTimeout(() => end(lost("timed-out")), IDLE * 1e3);
		};
		const aborted = () => end(new Aborted("The request was aborted."));
		const end = (error) => {
			clearTimeout(timer);
			xhr.upload.onprogress = xhr.onprogress = null;
			asked.signal?.removeEventListener("abort", aborted);
			if (!error) return resolve({
				status: xhr.status,
				text: xhr.responseText,
				headers: fields(xhr)
			});
			xhr.onload = xhr.onerror = null;
			xhr.abort();
			reject(error);
		};
		if (asked.signal?.aborted) return aborted();
		asked.signal?.addEventListener("abort", aborted);
		xhr.open(asked.method, asked.url);
		xhr.withCredentials = asked.credentials === "include";
		for (const [name, value] of Object.entries(asked.headers)) xhr.setRequestHeader(name, value);
		if (asked.onSent) xhr.upload.onprogress = (event) => {
			moved();
			asked.onSent?.(event.loaded, event.total);
		};
		xhr.onprogress = moved;
		xhr.onload = () => end(null);
		xhr.onerror = () => end(lost("connection-lost"));
		moved();
		xhr.send(asked.body);
	});
}
async function sendByFetch(asked) {
	const { method, headers, body, credentials, signal } = asked;
	const size = sizeOf(body);
	const ending = new AbortController();
	const end = () => ending.abort();
	let timer = setTimeout(end, (IDLE + size / SLOWEST) * 1e3);
	signal?.addEventListener("abort", end);
	if (signal?.aborted) end();
	const ask = async () => {
		const answer = await fetch(asked.url, {
			method,
			headers,
			body,
			credentials,
			signal: ending.signal
		});
		clearTimeout(timer);
		timer = setTimeout(end, IDLE * 1e3);
		const text = await answer.text();
		asked.onSent?.(size, size);
		return {
			status: answer.status,
			text,
			headers: Object.fromEntries(answer.headers)
		};
	};
	try {
		return await unlessAborted(ask(), ending.signal);
	} catch {
		if (signal?.aborted) throw new Aborted("The request was aborted.");
		if (!ending.signal.aborted) throw lost("connection-lost");
		asked.onSent?.(size, size);
		throw lost("timed-out");
	} finally {
		clearTimeout(timer);
		signal?.removeEventListener("abort", end);
	}
}
/** The value of `promise`; rejects with `Aborted` as soon as `signal` is aborted. */
function unlessAborted(promise, signal) {
	return new Promise((resolve, reject) => {
		const abort = () => reject(new Aborted("The request was aborted."));
		signal.addEventListener("abort", abort, { once: true });
		promise.then(resolve, reject).then(() => signal.removeEventListener("abort", abort));
		if (signal.aborted) abort();
	});
}
function sizeOf(body) {
	return (body instanceof FormData ? [...body.values()] : [body ?? ""]).reduce((sum, part) => sum + (part instanceof Blob ? part.size : part.length), 0);
}
function lost(code) {
	return new ConnectionLost(code === "timed-out" ? "The server did not respond." : "The connection to the server failed.", {
		code,
		retryable: true,
		hint: "Every acknowledged byte is safe; the upload can continue later."
	});
}
function fields(xhr) {
	const lines = xhr.getAllResponseHeaders().matchAll(/^(.+?):\s*(.*?)\s*$/gm);
	return Object.fromEntries([...lines].map(([, name, value]) => [name.toLowerCase(), value]));
}
// src/core/wire.ts
/**
 * The requests of the chunked API, one method each: no retries, no decisions.
 *
 * Rule 1: after a 401 or 403 the function `headers` is called again and the request is sent
 * again, once. What was acknowledged before stays valid.
 */
/** How long a path is remembered (seconds), so that a raised limit is noticed. */
var REMEMBERED = 86400;
/** The requests of one upload. */
var Wire = class {
	constructor(environment, options) {
		this.environment = environment;
		this.options = options;
		this.login = null;
		this.wasRefused = false;
		this.endpoint = resolved((options.endpoint ?? "/api").replace(/\/+$/, ""));
		this.isSameOrigin = isSameOrigin(this.endpoint);
		this.origin = this.endpoint.split("/", 3).join("/");
		const { kept, paths } = environment;
		const now = Date.now() / 1e3;
		const known = paths.get(this.origin) ?? kept.get(this.origin);
		this.path = now - known.since < REMEMBERED ? known : unknownPath(now);
		paths.set(this.origin, this.path);
	}
	async init(facts, signal) {
		const { report } = this.path;
		const opened = parseUpload(await this.post("init", {
			...facts,
			...report
		}, signal));
		this.noteReported(report);
		return opened;
	}
	async status(uploadId, signal) {
		const path = `/chunked-upload/${encodeURIComponent(uploadId)}`;
		return parseUpload(await this.request("GET", path, {}, null, signal));
	}
	async earlyVerdict(uploadId, signal) {
		const path = `/chunked-upload/${encodeURIComponent(uploadId)}/early-verdict`;
		return parseObject(await this.request("GET", path, {}, null, signal));
	}
	/** Returns the ranges that the server still lacks. */
	async chunk(uploadId, body, { range, crc }, signal, onSent) {
		const digest = this.isSameOrigin ? { "content-digest": renderDigest(crc) } : null;
		const { asForm, report } = this.path;
		const kind = asForm ? null : { "content-type": "application/octet-stream" };
		const about = {
			upload_id: uploadId,
			offset: range[0],
			...report
		};
		const path = `/chunked-upload/chunk?${new URLSearchParams(about)}`;
		const content = asForm ? formOf("chunk", body) : body;
		const answer = await this.request("POST", path, {
			...kind,
			...digest
		}, content, signal, onSent);
		this.noteReported(report);
		return parseMissing(answer);
	}
	noteReported(report) {
		if (this.path.report === report) this.path.report = null;
	}
	/** Where these parts may be sent to; without those that the server has. */
	async addresses(uploadId, crcs, signal) {
		const parts = [...crcs].map(([number, crc]) => ({
			number,
			crc64nvme: renderCrc(crc)
		}));
		return parseAddresses(await this.post("direct", {
			upload_id: uploadId,
			parts
		}, signal));
	}
	/** The answer of the object store, whatever it is. The store gets nothing of the login. */
	put(address, body, signal, onSent) {
		return this.exchange({
			...address,
			body,
			credentials: "same-origin",
			signal,
			onSent
		});
	}
	/** Report parts that were sent to the object store. Returns the ranges that the server still lacks. */
	async report(uploadId, parts, signal) {
		return parseMissing(await this.post("direct/received", {
			upload_id: uploadId,
			parts
		}, signal));
	}
	async complete(uploadId, crc, signal) {
		const digest = crc === null ? null : renderDigest(crc);
		return parseUpload(await this.post("complete", {
			upload_id: uploadId,
			digest
		}, signal));
	}
	async cancel(uploadId, signal) {
		await this.post("cancel", { upload_id: uploadId }, signal);
	}
	/**
	 * The whole file in one request, which is a form if the file has metadata, without a `key`, and where
	 * a filter wants it.
	 *
	 * A request that repeats the key of another gets its answer.
	 */
	async whole({ file, name, size, type }, key, crc, signal, onSent) {
		const fields = Object.entries(this.options.metadata ?? {});
		const typed = file.slice(0, size, type ?? "application/octet-stream");
		if (!key || fields.length || this.path.asForm) return this.keyed(key, formOf("file", typed, name, fields), signal, {}, onSent);
		const headers = {
			"content-disposition": `attachment; filename*=UTF-8''${String(new URLSearchParams({ name })).slice(5).replaceAll("+", "%20")}`,
			"content-digest": renderDigest(crc)
		};
		return this.keyed(key, typed, signal, headers, onSent);
	}
	/** Without a body: the answer to the request with this key. The server refuses an unknown key. */
	async keyed(key, body, signal, headers = {}, onSent) {
		if (key) headers["idempotency-key"] = `"${key}"`;
		return parseUpload(await this.request("POST", "/chunked-upload/upload", headers, body, signal, onSent));
	}
	post(verb, facts, signal) {
		const body = JSON.stringify(facts, (_, value) => value ?? void 0);
		return this.request("POST", `/chunked-upload/${verb}`, { "content-type": "application/json" }, body, signal);
	}
	async request(method, path, headers, body, signal, onSent) {
		for (let isLastTry = false;; isLastTry = true) {
			const login = this.login ??= this.askForLogin();
			const answer = await this.send({
				method,
				url: this.endpoint + path,
				headers: {
					accept: "application/json",
					...await unlessAborted(login, signal),
					...headers
				},
				body,
				credentials: this.options.credentials ?? "same-origin",
				signal,
				onSent
			});
			if (answer.status >= 200 && answer.status < 300) return answer;
			const error = parseError(answer);
			const isFixed = typeof this.options.headers !== "function";
			if (isLastTry || isFixed || !wantsFreshHeaders(error)) throw error;
			if (this.login === login) this.login = null;
		}
	}
	async askForLogin() {
		const { headers } = this.options;
		try {
			return { ...typeof headers === "function" ? await headers() : headers };
		} catch (cause) {
			this.login = null;
			throw new Unauthorized("The application did not provide login headers.", {
				code: "no-headers",
				hint: "Log in and upload again: what has arrived is kept.",
				cause
			});
		}
	}
	async send(asked) {
		const wasRefused = this.wasRefused && !(asked.body instanceof FormData);
		this.wasRefused = false;
		try {
			const answer = await this.exchange(asked);
			this.wasRefused = answer.status >= 400;
			return answer;
		} catch (error) {
			const isLost = error instanceof ConnectionLost && error.code === "connection-lost";
			if (!wasRefused || !isLost) throw error;
			return this.send(asked);
		}
	}
	async exchange(asked) {
		try {
			return await this.environment.send(asked);
		} catch (error) {
			if (!(error instanceof ConnectionLost) || this.environment.isOnline()) throw error;
			throw new ConnectionLost("The browser is offline.", {
				code: "offline",
				retryable: true,
				hint: "It continues when the network is back.",
				cause: error
			});
		}
	}
};
/** The fields come before the file: the server streams everything after them. */
function formOf(field, file, name, fields = []) {
	const form = new FormData();
	for (const [key, value] of fields) form.append(key, value);
	form.append(field, file, name);
	return form;
}
/** The endpoint as an absolute address. Throws `UploadFailure` if the page has no such address. */
function resolved(endpoint) {
	if (typeof location === "undefined") return endpoint;
	const bases = [
		globalThis.document?.baseURI,
		location.href,
		globalThis.origin
	];
	for (const base of bases) try {
		const { protocol, href } = new URL(endpoint, base);
		if (/^https?:$/.test(protocol)) return href.replace(/\/+$/, "");
	} catch {}
	throw new UploadFailure("The endpoint is not a web address.", { code: "bad-endpoint" });
}
function isSameOrigin(endpoint) {
	if (typeof location === "undefined") return true;
	return new URL(endpoint).origin === globalThis.origin;
}
// src/core/environment.ts
/** What an upload needs of the browser besides its file. Tests use an environment of their own. */
var KEPT = "wherry-path:";
var browser = {
	send,
	now: () => performance.now() / 1e3,
	after(seconds, act) {
		const timer = setTimeout(act, seconds * 1e3);
		return () => clearTimeout(timer);
	},
	every(seconds, act) {
		const timer = setInterval(act, seconds * 1e3);
		return () => clearInterval(timer);
	},
	jitter: Math.random,
	isOnline: () => globalThis.navigator?.onLine !== false,
	onOnline(act) {
		globalThis.addEventListener?.("online", act);
		return () => globalThis.removeEventListener?.("online", act);
	},
	locks: () => globalThis.navigator?.locks ?? null,
	turns: [],
	paths: /* @__PURE__ */ new Map(),
	ways: /* @__PURE__ */ new Map(),
	kept: {
		get(origin) {
			const path = unknownPath(Date.now() / 1e3);
			try {
				const kept = sessionStorage.getItem(KEPT + origin);
				return {
					...path,
					...JSON.parse(kept, (_, value) => value ?? void 0)
				};
			} catch {
				return path;
			}
		},
		set(origin, path) {
			try {
				sessionStorage.setItem(KEPT + origin, JSON.stringify(path));
			} catch {}
		}
	},
	isEarly: (origin) => performance.getEntries().some((entry) => entry.name.startsWith(`${origin}/`) && /^h[23]/.test(entry.nextHopProtocol))
};
// src/core/upload.ts
/** The ways to upload a file: in as many requests as it needs, in exactly one, and by hand. */
/** A cancel waits this long (seconds) for requests in flight, and as long for its own answer. */
var CANCEL_WITHIN = 5;
var CANCEL_AGAIN = .5;
/** What a form adds to the size of its file, at most (bytes). */
var LARGEST_FORM = 4096;
/** Options for all uploads. The options of one upload take precedence. */
var defaults = {};
/** An upload with `start`, `pause`, `resume` and `cancel`. */
function createUpload(file, options = {}) {
	return new OneUpload(file, options);
}
/** One ordinary request with the file in the form field `file`, and no other. */
async function uploadVideo(file, onProgress, options = {}) {
	return new OneUpload(file, {
		onProgress,
		...options
	}, true).start();
}
/**
 * As many requests as needed, for files of any size and any limit on the size of a request: one for
 * a small file, chunks for a large one.
 */
async function uploadVideoChunked(file, onProgress, options = {}) {
	return createUpload(file, {
		onProgress,
		...options
	}).start();
}
/** The same as `uploadVideoChunked`. */
var smartUpload = uploadVideoChunked;
/**
 * For a page or component that goes away: sends nothing more and releases the file.
 *
 * `start()` rejects with `Aborted`. The server keeps what has arrived; an upload of the same file
 * continues from there.
 */
function leave(upload) {
	upload.pause();
	if (upload instanceof OneUpload) upload.leave();
}
var OneUpload = class {
	constructor(file, options, isOnce = false, environment = browser) {
		this.isOnce = isOnce;
		this.environment = environment;
		this.run = null;
		this.one = null;
		this.running = null;
		if (typeof file?.arrayBuffer !== "function") throw new TypeError("The file is not a File or Blob.");
		const own = Object.entries(options).filter(([, value]) => value !== void 0);
		this.options = {
			...defaults,
			...Object.fromEntries(own)
		};
		if (this.options.fingerprint === false) this.options.fingerprint = unique();
		this.source = new Source(file, this.options.filename, this.options.contentType);
		this.reporter = new ProgressReporter(file.size, () => environment.now(), this.options.onProgress);
		this.control = new Control(environment);
	}
	get details() {
		return this.reporter.details;
	}
	get uploadId() {
		return this.run?.uploadId ?? null;
	}
	start() {
		if (!this.running) {
			this.running = this.go();
			this.running.catch(() => this.running = null);
		}
		return this.running;
	}
	pause() {
		const { control } = this;
		if (!this.running || control.isPaused || control.isCancelled || this.reporter.state === "done") return;
		control.pause();
		this.reporter.report("paused");
	}
	resume() {
		this.control.resume();
	}
	async cancel() {
		if (this.reporter.state === "done") return;
		if (this.running) {
			this.end();
			await this.running.catch(() => void 0);
		} else {
			await this.cancelOnServer();
			this.reporter.report("cancelled");
		}
	}
	leave() {
		if (!this.running) return;
		this.control.leave();
		this.endSoon();
	}
	end(cause) {
		if (this.control.isCancelled) return;
		this.control.cancel(cause);
		this.reporter.report("cancelled");
		this.endSoon();
	}
	endSoon() {
		const { control } = this;
		this.environment.after(CANCEL_WITHIN, () => control.endRequests());
	}
	async go() {
		const { environment, options, reporter } = this;
		const { signal } = options;
		const control = this.control = new Control(environment);
		const wire = new Wire(environment, options);
		const one = this.one ??= new OneRequest(this.source.size, this.chunkSize(wire), options.metadata || wire.path.asForm ? LARGEST_FORM : 0);
		const run = new Run(new Context(environment, wire, this.source, one.size, options, reporter, control), one);
		run.uploadId = this.uploadId;
		this.run = run;
		const abort = () => this.end(signal?.reason);
		signal?.addEventListener("abort", abort);
		try {
			if (signal?.aborted) abort();
			control.check();
			return await this.send(run);
		} catch (error) {
			if (control.isCancelled) {
				if (!control.isLeft) await this.cancelOnServer();
				control.check();
			}
			if (error instanceof FileChanged) await this.cancelOnServer();
			reporter.report("failed", { problem: error instanceof Error ? error.message : String(error) });
			throw error;
		} finally {
			signal?.removeEventListener("abort", abort);
		}
	}
	async send(run) {
		for (;;) {
			const stopListening = this.environment.onOnline(() => run.online());
			const stopTicking = this.environment.every(1, () => this.reporter.tick());
			try {
				return await run.inOneRequest(this.isOnce) ?? await run.inChunks();
			} catch (error) {
				if (!(error instanceof Paused)) throw error;
			} finally {
				stopTicking();
				stopListening();
			}
			await this.control.resumed();
			run.online();
		}
	}
	/** An upload that the server cannot be asked to cancel in time expires by itself. */
	async cancelOnServer() {
		const { environment, uploadId } = this;
		if (!uploadId) return;
		const wire = new Wire(environment, this.options);
		const limit = new AbortController();
		const stop = environment.after(CANCEL_WITHIN, () => limit.abort());
		try {
			while (!limit.signal.aborted) {
				try {
					return await wire.cancel(uploadId, limit.signal);
				} catch (error) {
					if (!(error instanceof UploadFailure) || !error.retryable) return;
				}
				await new Promise((resolve) => environment.after(CANCEL_AGAIN, resolve));
			}
		} finally {
			stop();
		}
	}
	chunkSize(wire) {
		const size = new ChunkSize(wire.path);
		if (this.options.chunkSize) size.preferred = this.options.chunkSize;
		return size;
	}
};
export { Aborted, AnswerLost, ConnectionLost, FileChanged, GaveUp, NoRoom, NoSpace, Refused, ServerFailed, TooLarge, Unauthorized, UnexpectedAnswer, UploadFailure, UploadGone, createUpload, defaults, leave, smartUpload, uploadVideo, uploadVideoChunked };
