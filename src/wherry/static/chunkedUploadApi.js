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
/** The root of them all. */
var UploadFailure = class extends Error {
	/** Whether the words of a refusal for size may be in its message. */
	static isAboutSize = false;
	name = "UploadFailure";
	/** Wherry's code for it, as in the server's list of errors; or our own. */
	code;
	/** The HTTP status; null where there was no answer. */
	status;
	/** The same call may succeed later, and goes on where this one ended. */
	retryable;
	/** What to do about it: a sentence for people. */
	hint;
	/** Seconds. */
	retryAfter;
	/** What the server said: the fields of its problem document. */
	facts;
	constructor(message, facts = {}) {
		const isClean = new.target.isAboutSize || !SIZE.test(message);
		super(isClean ? message : "The upload failed; `code` and `facts` say why.");
		if (facts.cause !== void 0) this.cause = facts.cause;
		this.code = facts.code ?? "";
		this.status = facts.status ?? null;
		this.retryable = facts.retryable ?? false;
		this.hint = facts.hint ?? "";
		this.retryAfter = facts.retryAfter ?? null;
		this.facts = facts.facts ?? {};
	}
};
/** The file is larger than the server takes, or the smallest chunk than something on the way. */
var TooLarge = class extends UploadFailure {
	static isAboutSize = true;
	name = "TooLarge";
};
/** Cancelled here: by `cancel()` or an `AbortSignal`. */
var Aborted = class extends UploadFailure {
	name = "AbortError";
};
/** 401 or 403, also with fresh headers. What was sent stays; log in and call again. */
var Unauthorized = class extends UploadFailure {
	name = "Unauthorized";
};
/** There was no answer: no connection, or it broke; what was sent may have arrived or not. */
var ConnectionLost = class extends UploadFailure {
	name = "ConnectionLost";
};
/** There was no progress for the whole of `patience`; `cause` is the last error. */
var GaveUp = class extends UploadFailure {
	name = "GaveUp";
};
/** The upload was cancelled elsewhere, has expired or has failed: its bytes are deleted. */
var UploadGone = class extends UploadFailure {
	name = "UploadGone";
};
/** 507: the file can never fit into the space that the server has. */
var NoSpace = class extends UploadFailure {
	name = "NoSpace";
};
/**
 * The one request of `uploadVideo` or `smartUpload` went out whole, and its answer was lost.
 * The upload may be complete. It is not sent again by itself: that could make two.
 */
var AnswerLost = class extends UploadFailure {
	name = "AnswerLost";
	constructor(cause) {
		super("The file is out, and the answer to it was lost.", {
			code: "answer-lost",
			hint: "It may have arrived: look before you send it again. In chunks this cannot happen.",
			cause
		});
	}
};
/** The server is full at the moment; whoever waits gets in. It is waited for, not thrown. */
var NoRoom = class extends UploadFailure {
	name = "NoRoom";
};
/** Any other 4xx: the request, the file or its type is not wanted. */
var Refused = class extends UploadFailure {
	name = "Refused";
};
/** 5xx: the server, or a proxy that did not reach it. */
var ServerFailed = class extends UploadFailure {
	name = "ServerFailed";
};
/** The answer is not one of Wherry's: most often the address is wrong. */
var UnexpectedAnswer = class extends UploadFailure {
	name = "UnexpectedAnswer";
};
/** The file cannot be read any more: it was changed, moved or deleted on the disk. */
var FileChanged = class extends UploadFailure {
	name = "FileChanged";
};
// src/core/control.ts
/**
 * Pause, resume and cancel of one upload, and its waiting.
 *
 * Rule 1: whoever sleeps or waits here is woken by each of them; whoever goes on after a
 * cancel gets `Aborted`, after a pause `Paused`.
 */
/** Nothing is sent until `resumed()`; then it begins with asking how far it is. */
var Paused = class extends Error {};
var Control = class {
	world;
	isPaused = false;
	/** Cancelled here alone: the upload stays on the server. */
	isLeft = false;
	/** Ends the chunks on their way: at a pause, and at the end. */
	halting = new AbortController();
	/** Ends every request. */
	ending = new AbortController();
	cancelled = null;
	sleepers = /* @__PURE__ */ new Set();
	constructor(world) {
		this.world = world;
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
	/** Small requests on their way are not ended: whether they opened an upload must be known. */
	cancel(cause) {
		this.cancelled ??= new Aborted("The upload was cancelled.", {
			code: "aborted",
			cause
		});
		this.endChunks();
	}
	/** A cancel of which the server does not hear. */
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
	/** Until `wake`, at most for so many seconds. Throws `Aborted`, `Paused`. */
	async rest(seconds = Infinity) {
		this.check();
		await this.woken(seconds);
		this.check();
	}
	/** For so many seconds, or until `isOver()`. Throws `Aborted`, `Paused`. */
	async sleep(seconds, isOver = () => false) {
		this.check();
		const until = this.world.now() + seconds;
		for (let left = seconds; left > 0 && !isOver(); left = until - this.world.now()) await this.rest(left);
	}
	/** Until `resume`. Throws `Aborted`. */
	async resumed() {
		while (this.isPaused && !this.cancelled) await this.woken(Infinity);
		this.check();
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
			if (seconds < Infinity) stop = this.world.after(Math.max(seconds, 0), wake);
		});
	}
};
// src/core/decisions.ts
/**
 * What an error means for what is done next: one pure function, the twin of decisions.py.
 *
 * Rule 1: `tests/vectors` says for every answer what follows from it, and both clients
 * are held to that.
 */
/**
 * Whether the request is sent again, once, with headers that its caller makes anew.
 *
 * 403 counts as well as 401: frameworks answer it to a token that is missing or has expired.
 */
var wantsFreshHeaders = (error) => error instanceof Unauthorized;
/** What is to be done after `error` has come instead of the answer to `verb`. */
function whatNext(error, verb) {
	const { code, facts } = error;
	const isChunk = verb === "chunk";
	if (error instanceof TooLarge && facts["scope"] !== "file" && (isChunk || verb === "upload")) return "smaller";
	if (verb === "upload") {
		if (error instanceof NoRoom) return "smaller";
		return code === "hook-failed" && typeof facts["upload_id"] === "string" ? "complete" : "stop";
	}
	if (code === "upload-closed" && isChunk) return "complete";
	if (code === "bytes-missing" && verb === "complete") return "missing";
	if (error instanceof UploadGone && facts["state"] === "expired") return "anew";
	if (!error.retryable) return "stop";
	if (isChunk) {
		if (code === "waiting") return "line";
		const isNobodys = error instanceof ConnectionLost || error instanceof UnexpectedAnswer;
		if (!code || isNobodys) return "look";
	}
	return error instanceof NoRoom || code === "busy" ? "wait" : "retry";
}
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
// src/core/plan.ts
/**
 * Which bytes to send next, in what size, and what a failure changes: the algorithm.
 *
 * Rule 1: no clock, no randomness, no I/O. Times come in as seconds on any steady
 * clock, jitter as a number from 0 to 1.
 *
 * Rule 2: a size that never passed on this way flies alone, so a limit on the way
 * costs one refusal a halving, never one for each request in flight. So does what is
 * sent after a failure, until something gets through again.
 *
 * Rule 3: chunks begin and end on multiples of `floor` (or at the file's end), so that
 * cutting one again never leaves a rest below the server's minimum.
 *
 * Rule 4: a range is in exactly one place: to send, in flight, or acknowledged.
 */
var KiB = 1024;
var MiB = 1024 * KiB;
/** No chunk is cut smaller (bytes). */
var FLOOR = 64 * KiB;
/** A request that took longer than this many seconds is near some proxy's timer: send less. */
var SLOW = 10;
/** One that failed after this many seconds may have met such a timer. */
var TIMER = 20;
/** Back-off: the first pause is at most `BACKOFF` seconds, each further one twice as long. */
var BACKOFF = .1;
var LONGEST_BACKOFF = 30;
/**
 * Seconds between two questions to a server that is full or at work, where it does not say.
 * A place that comes up in the waiting line is kept for a minute, so none waits longer.
 */
var POLL = 1;
var LONGEST_WAIT = 30;
/** How long to wait where there will be room or an end later, whatever the answer says. */
var pauseOf = ({ retryAfter }) => Math.min(retryAfter || POLL, LONGEST_WAIT);
/** Who comes back so many seconds after the end of a pause begins to count failures anew. */
var ASLEEP = 60;
/** So many gaps the server lists in its answer to a chunk. */
var LISTED = 100;
/** `limit`: what an earlier page has found out, if one has. */
function unknownWay(limit = null) {
	return {
		limit: limit ?? Infinity,
		pace: Infinity,
		passed: 0
	};
}
/** How large a chunk may be (bytes); learned while sending. */
var ChunkSize = class {
	way;
	preferred = 5 * MiB;
	floor = FLOOR;
	constructor(way = unknownWay()) {
		this.way = way;
	}
	/** What the server said; what was learned on the way stays. */
	offered(preferred, floor) {
		this.preferred = preferred;
		this.floor = floor;
	}
	get now() {
		return this.onGrid(Math.min(this.preferred, this.way.limit, this.way.pace));
	}
	/** The largest that ever got through. */
	get passed() {
		return this.way.passed;
	}
	isProven(size) {
		return size <= this.way.passed;
	}
	notePassed(size, seconds) {
		const way = this.way;
		way.passed = Math.max(way.passed, size);
		if (seconds > SLOW) way.pace = this.onGrid(size / 2);
		else if (size >= way.pace && seconds < SLOW / 2) way.pace *= 2;
	}
	/** A 413. False when `size` cannot be halved any more. */
	noteRefused(size) {
		if (this.isProven(size)) this.way.passed = 0;
		this.halve(size);
		return size > this.floor;
	}
	noteFailed(size, seconds) {
		if (seconds > TIMER) this.way.pace = this.onGrid(size / 2);
	}
	/** What failed though the server is there: of a size that never passed, it was refused: true. */
	noteSuspected(size) {
		const isRefused = !this.isProven(size) && size > this.floor;
		if (isRefused) this.halve(size);
		return isRefused;
	}
	halve(size) {
		this.way.limit = Math.min(this.way.limit, this.onGrid(size / 2));
	}
	onGrid(size) {
		return Math.max(Math.floor(size / this.floor), 1) * this.floor;
	}
};
/** When to try again, and when to stop trying. Progress forgets all failures. */
var Patience = class {
	budget;
	/** Nothing is sent before this time. */
	until = 0;
	/** Nothing got through since the last error. */
	inTrouble = false;
	/** Without progress since. */
	failures = 0;
	failingSince = 0;
	failedAt = 0;
	/** `budget`: seconds without progress, counted from the first failure. */
	constructor(budget) {
		this.budget = budget;
	}
	/** What `began` before the last failure says nothing of what is now. */
	progressed(began) {
		if (began < this.failedAt) return;
		this.failures = 0;
		this.inTrouble = false;
	}
	/** There will be room later: that is not a failure, however long it takes. */
	waits(error, now) {
		this.inTrouble = true;
		this.failedAt = now;
		this.until = Math.max(this.until, now + pauseOf(error));
	}
	/** The browser is offline, which says nothing about the server. */
	offline(now) {
		this.failures = 0;
		this.inTrouble = true;
		this.failedAt = now;
		this.until = now + LONGEST_WAIT;
	}
	/** It is online again. */
	online() {
		this.until = 0;
	}
	/**
	 * Set the next pause. Throws `GaveUp` when that would exceed the budget.
	 *
	 * `began`: when the failed request was started. Those that were in flight together
	 * fail together, and count once.
	 */
	failed(error, began, now, jitter) {
		if (error.code === "offline") return this.offline(now);
		if (began > this.until + ASLEEP) this.failures = 0;
		this.inTrouble ||= error.code !== "superseded";
		if (this.failures === 0) this.failingSince = now;
		if (this.failures === 0 || began >= this.failedAt) {
			this.failures += 1;
			this.failedAt = now;
		}
		const pause = jitter * Math.min(LONGEST_BACKOFF, BACKOFF * 2 ** (this.failures - 1));
		const said = Math.min(error.retryAfter ?? 0, LONGEST_WAIT);
		this.until = Math.max(this.until, now + Math.max(pause, said));
		if (this.until - this.failingSince > this.budget) throw new GaveUp(`There was no progress for too long. ${error.message}`, {
			code: error.code,
			status: error.status,
			retryable: true,
			hint: "Every acknowledged byte is safe; the same upload can go on later.",
			facts: error.facts,
			cause: error
		});
	}
};
/** The bytes of one upload on their way. */
var Plan = class {
	length;
	size;
	concurrency;
	patience;
	toSend;
	flying = /* @__PURE__ */ new Set();
	fromEnd = false;
	turnedAt = 0;
	/** Seconds that the last chunk took. */
	lasted = 0;
	/** The status is to be asked for before anything more is sent. */
	mustLook = false;
	/** What may have been refused in disguise, and the failures until then. */
	suspected = null;
	/** `missing`: what is to be sent, sorted or not. */
	constructor(length, missing, size, concurrency, patience) {
		this.length = length;
		this.size = size;
		this.concurrency = concurrency;
		this.patience = patience;
		this.toSend = this.onGrid(missing);
	}
	get isDone() {
		return this.toSend.length === 0 && this.flying.size === 0;
	}
	/** What is on its way. */
	get sending() {
		return [...this.flying].map((chunk) => chunk.range);
	}
	/** What is acknowledged. */
	get safe() {
		return gaps([...this.toSend, ...this.sending], this.length);
	}
	/** How many bytes are acknowledged. */
	get bytesSafe() {
		return this.length - bytesIn(this.toSend) - bytesIn(this.sending);
	}
	/** The chunk to send now; null while something in flight or a pause has to end first. */
	next(now) {
		const gap = this.fromEnd ? this.toSend.at(-1) : this.toSend[0];
		if (!gap || this.mustLook || now < this.patience.until) return null;
		const range = this.cut(gap, this.patience.inTrouble ? this.size.floor : this.size.now);
		const isClear = !this.patience.inTrouble && [range, ...this.sending].every(([start, end]) => this.size.isProven(end - start));
		if (this.flying.size >= (isClear ? this.concurrency : 1)) return null;
		const chunk = {
			range,
			began: now
		};
		this.flying.add(chunk);
		this.toSend = overlap(this.toSend, gaps([range], this.length));
		return chunk;
	}
	/** Its bytes are acknowledged. */
	passed(chunk, now) {
		this.flying.delete(chunk);
		this.lasted = now - chunk.began;
		this.size.notePassed(chunk.range[1] - chunk.range[0], this.lasted);
		this.patience.progressed(chunk.began);
	}
	/** The server's list of what it misses: another tab may have brought some of it. */
	learned(missing) {
		const unlisted = missing.length < LISTED ? [] : [[missing.at(-1)[1], this.length]];
		this.toSend = overlap(this.toSend, this.onGrid([...missing, ...unlisted]));
	}
	/** It was ended on this side: its range is sent again, and nothing is concluded from it. */
	tookBack(chunk) {
		this.flying.delete(chunk);
		this.toSend = merge([...this.toSend, chunk.range]);
	}
	/**
	 * The status that was asked for says what is `received`. The size that was refused in
	 * disguise, if one was: the server was there all the time.
	 */
	looked(received) {
		const { suspected } = this;
		const missing = gaps(received, this.length);
		this.mustLook = false;
		this.suspected = null;
		this.toSend = overlap(this.toSend, this.onGrid(missing));
		if (suspected?.failures !== this.patience.failures) return null;
		const [start, end] = suspected.range;
		return overlap([suspected.range], missing).length > 0 && this.size.noteSuspected(end - start) ? end - start : null;
	}
	/**
	 * Take its range back, to be cut anew. True if it was refused for its size.
	 *
	 * Throws what trying again cannot mend: `error` itself, or `GaveUp`.
	 */
	failed(chunk, error, now, jitter) {
		this.tookBack(chunk);
		const { patience } = this;
		const size = chunk.range[1] - chunk.range[0];
		const next = whatNext(error, "chunk");
		if (next === "smaller") {
			if (!this.size.noteRefused(size)) throw error;
			return true;
		}
		if (!error.retryable) throw error;
		if (next === "look" || next === "line") this.mustLook = true;
		if (error instanceof NoRoom || next === "wait") {
			patience.waits(error, now);
			return false;
		}
		if (error.code === "superseded" && chunk.began >= this.turnedAt) {
			this.fromEnd = !this.fromEnd;
			this.turnedAt = now;
			patience.until = Math.max(patience.until, now + (1 + jitter) * this.lasted);
		}
		this.size.noteFailed(size, now - chunk.began);
		patience.failed(error, chunk.began, now, jitter);
		if (error instanceof ConnectionLost && error.code === "connection-lost" || next === "look" && error instanceof ServerFailed) this.suspected = {
			range: chunk.range,
			failures: patience.failures
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
// src/core/answers.ts
/**
 * What the server's answers mean: pure functions from an HTTP answer to a value or an error.
 *
 * Rule 1: an answer that is not Wherry's (a proxy's page, a login form, a wrong address)
 * is an error of its own, never a value with holes.
 *
 * Rule 2: nothing depends on a header that a browser may hide across origins.
 */
/** Throws `UnexpectedAnswer`. */
function parseUpload(answer) {
	const data = parseObject(answer);
	const { upload_id: uploadId, state } = data;
	const limits = data["limits"] ?? {};
	if (typeof uploadId !== "string" || typeof state !== "string" || !isObject(limits)) throw unexpected(answer);
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
		result: {
			assessment_id: null,
			...data
		}
	};
}
/** What the server still misses, from its answer to a chunk. Throws `UnexpectedAnswer`. */
function parseMissing(answer) {
	const data = parseObject(answer);
	if (!isCount(data["received_bytes"])) throw unexpected(answer);
	return ranges(answer, data["missing"]);
}
/** What may succeed later, where no problem document says so; 52x are Cloudflare's. */
function isRetryable(status) {
	return [
		408,
		425,
		429,
		500,
		502,
		503,
		504
	].includes(status) || status >= 520 && status < 530;
}
/** The error that an answer with a status of 300 or more stands for. */
function parseError(answer) {
	const { status } = answer;
	const data = parseProblem(answer);
	const facts = data ?? {};
	const code = text(facts["code"]);
	const wait = retryAfter(answer, facts);
	const more = {
		code,
		status,
		retryable: typeof facts["retryable"] === "boolean" ? facts["retryable"] : isRetryable(status),
		hint: text(facts["hint"]),
		retryAfter: wait,
		facts
	};
	if (status === 413 || status === 404 && !data && /\b404\.13\b/.test(answer.text)) return new TooLarge(facts["scope"] === "file" ? "The file is too large for the server." : "The request is too large for the server, or for a proxy in front of it.", {
		...more,
		status: 413,
		hint: more.hint || "Upload in smaller chunks, or have the proxy's body limit raised."
	});
	if (status < 400) return unexpected(answer, false);
	const said = text(facts["detail"]) || text(facts["title"]);
	const is = (kind, message, hint = "") => new kind(said || message, {
		...more,
		hint: more.hint || hint
	});
	const login = "Log in and upload again: nothing that arrived is lost.";
	if (status === 401) return is(Unauthorized, "The server wants another login.", login);
	if (status === 403) return is(Unauthorized, "The server refuses this to who is logged in.", login);
	if (code === "upload-gone" || code === "upload-not-found") return is(UploadGone, "The upload is gone.");
	if (code ? [
		"no-room",
		"waiting",
		"disk-full"
	].includes(code) : [429, 503].includes(status) && wait !== null && more.retryable) return is(NoRoom, "There is no room at the moment.");
	if (status === 507) return is(NoSpace, "The server has no space for this file.");
	if (status === 404 || status === 405) return is(Refused, "There is no upload server at this address.", "Check the endpoint: it ends where /chunked-upload begins, most often in /api.");
	if (status < 500) return is(Refused, "The server refused the request.");
	return is(ServerFailed, "The server, or a proxy in front of it, failed.");
}
/** Whether all of it has come, whoever brought it: `init` would begin a second one. */
function isBrought({ state }) {
	return state === "completing" || state === "complete";
}
/** Throws `UploadGone`. */
function checkNotGone({ state, result }) {
	if ([
		"cancelled",
		"expired",
		"failed"
	].includes(state)) throw new UploadGone(`The upload is ${state}.`, {
		code: "upload-gone",
		facts: result
	});
}
function parseProblem(answer) {
	if (!/^application\/problem\+json\s*(;|$)/i.test(answer.headers["content-type"] ?? "")) return null;
	try {
		return parseObject(answer);
	} catch {
		return null;
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
	return new UnexpectedAnswer("The answer is not one of Wherry's.", {
		code: "unexpected-answer",
		status: answer.status,
		retryable,
		hint: "Check the endpoint, and whether the login has expired: a page may have come instead."
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
 * RFC 9110 section 10.2.3: seconds, or a date. The body's own word comes before the header,
 * which proxies change and browsers hide.
 */
function retryAfter(answer, facts) {
	const said = facts["retry_after"];
	if (typeof said === "number" && said >= 0 && said < Infinity) return said;
	const header = answer.headers["retry-after"] ?? "";
	const seconds = /^\d+$/.test(header) ? Number(header) : / GMT$/.test(header) ? Math.max((Date.parse(header) - Date.now()) / 1e3, 0) : NaN;
	return Number.isFinite(seconds) ? seconds : null;
}
// src/core/digest.ts
/**
 * CRC-64/NVME of parts, and of a whole file combined from them in any order.
 *
 * Rule 1: eight bytes a step, in halves of 32 bits, for that is what browsers do fast.
 */
var POLYNOMIAL = 11127430586519243189n;
var TOP = 1n << 63n;
/** For byte values at each of eight places: the lower halves, then the upper halves. */
var tables;
function makeTables() {
	const made = /* @__PURE__ */ new Int32Array(4096);
	for (let value = 0; value < 256; value++) {
		let crc = BigInt(value);
		for (let bit = 0; bit < 64; bit++) {
			if (bit % 8 === 0 && bit > 0) keep(bit / 8 - 1, value, crc);
			crc = crc & 1n ? crc >> 1n ^ POLYNOMIAL : crc >> 1n;
		}
		keep(7, value, crc);
	}
	return made;
	function keep(place, value, crc) {
		made[place * 256 + value] = Number(crc & 4294967295n);
		made[(8 + place) * 256 + value] = Number(crc >> 32n);
	}
}
/** Of `data` put behind bytes whose CRC is `crc`. */
function crc64(data, crc = 0n) {
	const t = tables ??= makeTables();
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
		low = t[p] ^ t[q] ^ t[r] ^ t[s] ^ t[u] ^ t[v] ^ t[w] ^ t[x];
		high = t[2048 + p] ^ t[2048 + q] ^ t[2048 + r] ^ t[2048 + s] ^ t[2048 + u] ^ t[2048 + v] ^ t[2048 + w] ^ t[2048 + x];
	}
	for (; at < data.length; at++) {
		const index = (low ^ data[at]) & 255;
		low = (low >>> 8 | high << 24) ^ t[index];
		high = high >>> 8 ^ t[2048 + index];
	}
	return BigInt(~high >>> 0) << 32n | BigInt(~low >>> 0);
}
/** The CRC of two neighbours, from theirs; `secondLength` in bytes. */
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
function renderDigest(crc) {
	let bytes = "";
	for (let shift = 56n; shift >= 0n; shift -= 8n) bytes += String.fromCharCode(Number(crc >> shift & 255n));
	return `crc64nvme=:${btoa(bytes)}:`;
}
/** What was read of a file: neighbours are one. */
var Parts = class {
	parts = [];
	/** One that overlaps what is there is left out: its bytes are known, or will be read again. */
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
	/** The bytes of a file of this length that were not read yet. */
	missing(length) {
		return gaps(this.parts.map((part) => part.range), length);
	}
	/** Of the first part: the whole file, when nothing is missing. */
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
// src/core/retrying.ts
/** Seconds of trying to reach a server that has not answered yet: the address may be wrong. */
var FIRST_ANSWER = 30;
var Retrying = class {
	world;
	control;
	budget;
	onTrouble;
	patience;
	/** Whether it is Wherry that answers at this address. */
	isKnown = false;
	/** `budget`: seconds without progress; `onTrouble` hears of each error, the pause being set. */
	constructor(world, control, budget, onTrouble) {
		this.world = world;
		this.control = control;
		this.budget = budget;
		this.onTrouble = onTrouble;
		this.patience = new Patience(Math.min(FIRST_ANSWER, budget));
	}
	/** Seconds until something may be sent. */
	get pause() {
		return Math.max(this.patience.until - this.world.now(), 0);
	}
	/**
	 * What `call` gives. Throws what repeating cannot mend, `Aborted` and `Paused`.
	 *
	 * `isProgress`: that it gets through ends the trouble.
	 */
	async ask(verb, call, isProgress = true) {
		const { patience, control, world } = this;
		for (;;) {
			await control.sleep(this.pause, () => this.pause === 0);
			const began = world.now();
			try {
				const answer = await call();
				this.isKnown = true;
				patience.budget = this.budget;
				if (isProgress) patience.progressed(began);
				return answer;
			} catch (error) {
				control.check();
				if (!(error instanceof UploadFailure)) throw error;
				const next = whatNext(error, verb);
				if (error instanceof UnexpectedAnswer && !this.isKnown || next !== "wait" && next !== "retry") throw error;
				if (next === "wait") patience.waits(error, world.now());
				else patience.failed(error, began, world.now(), world.jitter());
				if (error.code !== "busy") this.onTrouble(error);
			}
		}
	}
};
// src/core/turns.ts
/**
 * Two tabs with the same file: one sends, the others watch and take over when it ends.
 *
 * Rule 1: without locks (plain http, old browsers) everybody sends, which is slower and
 * as right: the server keeps the first of two bytes.
 */
/**
 * What `send` gives, once nobody else holds `name`; or what `watch` finds out while somebody
 * does. `watch` gives null when it sees that it is `isOurTurn()`; `wake` is called then.
 */
async function takingTurns(locks, name, send, watch, wake) {
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
// src/core/run.ts
/**
 * One upload from its first request to its last: the plan, put into action.
 *
 * Rule 1: the algorithm is `plan.ts`'s. This file only reads, sends, waits and tells.
 *
 * Rule 2: ending it at any line, also by closing the page, loses nothing that was
 * acknowledged: `init` with the same fingerprint finds the upload again.
 */
var CONCURRENCY = 4;
var ROUNDS = 3;
var PATIENCE = 300;
var Run = class {
	world;
	wire;
	source;
	size;
	options;
	teller;
	control;
	uploadId = null;
	retrying;
	/** Whether the upload is this run's, not only an earlier one's. */
	isOpened = false;
	/** What was read of the file. */
	parts = new Parts();
	constructor(world, wire, source, size, options, teller, control) {
		this.world = world;
		this.wire = wire;
		this.source = source;
		this.size = size;
		this.options = options;
		this.teller = teller;
		this.control = control;
		const budget = options.patience ?? PATIENCE;
		this.retrying = new Retrying(world, control, budget, (error) => this.tellTrouble(error));
	}
	/** The network is back. */
	online() {
		this.retrying.patience.online();
		this.control.wake();
	}
	/** Whether the file is small enough to be sent in one request first. */
	get isSmall() {
		return this.source.size <= Math.max(this.wire.isSameOrigin ? this.size.now : 0, this.size.passed);
	}
	/**
	 * Send the whole file at once. `mayBeCut`: null, where it did not get through and chunks may.
	 *
	 * Throws `AnswerLost` where the upload may be complete without our knowing.
	 */
	async inOneRequest(mayBeCut) {
		const { control, source, size, teller, world } = this;
		this.tell("starting");
		await source.checkReadable();
		control.check();
		let flown = 0;
		let isOut = false;
		const onSent = (loaded, total) => {
			const bytes = total ? Math.floor(loaded / total * source.size) : 0;
			isOut = loaded >= total;
			teller.noteSent(bytes - flown);
			flown = bytes;
		};
		this.tell("sending");
		const began = world.now();
		let done;
		try {
			done = await this.wire.whole(source, control.halt, onSent);
		} catch (error) {
			control.check();
			const next = nextAfter(error, "upload");
			if (next === "complete") {
				this.uploadId = String(error.facts["upload_id"]);
				return this.finish(await this.complete(this.uploadId, null));
			}
			if (error instanceof ConnectionLost) {
				await source.checkReadable();
				if (isOut) throw new AnswerLost(error);
				size.noteFailed(source.size, world.now() - began);
				if (error.code === "connection-lost" && size.noteSuspected(source.size)) this.noteRefused(source.size);
			} else if (next === "smaller") {
				if (error instanceof TooLarge) {
					size.noteRefused(source.size);
					this.noteRefused(source.size);
				}
			} else throw error;
			if (!mayBeCut) throw error;
			return null;
		} finally {
			teller.noteAnswered(flown);
		}
		size.notePassed(source.size, world.now() - began);
		teller.where = {
			safe: gaps([], source.size),
			sending: [],
			bytesSafe: source.size
		};
		this.uploadId = done.uploadId;
		return this.finish(done.state === "complete" ? done : await this.complete(done.uploadId, null));
	}
	/** Send what the server does not have yet, and complete. */
	async inChunks() {
		this.tell("starting");
		const fingerprint = this.options.fingerprint || await this.source.fingerprint();
		return takingTurns(this.world.locks(), `wherry ${this.wire.endpoint} ${fingerprint}`, () => this.bringOnceMore(fingerprint), (isOurTurn) => this.watch(fingerprint, isOurTurn), () => this.control.wake());
	}
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
			await this.source.checkReadable();
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
		throw new ServerFailed("The server misses again and again what it has acknowledged.", { code: "bytes-missing" });
	}
	async init(fingerprint) {
		const { source, options } = this;
		const facts = {
			filename: source.name,
			size: source.size,
			content_type: source.type,
			chunk_size: options.chunkSize,
			metadata: options.metadata,
			fingerprint
		};
		const opened = await this.retrying.ask("init", () => this.wire.init(facts, this.control.end));
		this.uploadId = opened.uploadId;
		this.isOpened = true;
		this.control.check();
		return opened;
	}
	/** The upload as it is, after a pause or an end of ours; null where one is to be begun. */
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
		const call = () => this.wire.status(uploadId, this.control.end);
		return this.retrying.ask("status", call, isProgress);
	}
	async open(fingerprint) {
		const known = await this.known();
		if (known && isBrought(known)) return known;
		let opened = await this.init(fingerprint);
		while (opened.isWaiting) {
			const seen = await this.standInLine(opened);
			if (isBrought(seen)) return seen;
			opened = await this.init(fingerprint);
		}
		this.size.offered(opened.chunkSize ?? this.size.preferred, Math.max(FLOOR, opened.minChunk ?? 0));
		return opened;
	}
	/** The upload as it is when it waits no more. */
	async standInLine(seen) {
		const { uploadId } = seen;
		while (seen.isWaiting) {
			const pause = pauseOf(seen);
			this.tell("waiting", {
				position: seen.position,
				retryAfter: pause
			});
			await this.control.sleep(pause);
			seen = await this.status(uploadId);
		}
		checkNotGone(seen);
		return seen;
	}
	/** The whole file's digest; null where another client has brought the rest of it. */
	async send(opened) {
		if (opened.state !== "receiving") return null;
		const { source, control, teller, retrying, world } = this;
		const missing = gaps(opened.received, source.size);
		const allowed = opened.concurrency ?? CONCURRENCY;
		const concurrency = Math.max(Math.min(this.options.concurrency ?? allowed, allowed), 1);
		const plan = new Plan(source.size, missing, this.size, concurrency, retrying.patience);
		teller.where = plan;
		teller.chunkSize = this.size.now;
		this.tell("sending");
		const check = () => control.check();
		const unread = overlap(this.parts.missing(source.size), plan.safe);
		const reading = source.digestRest(this.parts, unread, check);
		reading.catch(() => void 0);
		const flying = /* @__PURE__ */ new Set();
		let failure;
		const fly = (chunk) => {
			const flight = this.sendChunk(plan, opened.uploadId, chunk).catch((error) => void (failure ??= error)).finally(() => {
				flying.delete(flight);
				control.wake();
			});
			flying.add(flight);
		};
		try {
			while (!plan.isDone) {
				if (failure) throw failure;
				check();
				if (plan.mustLook && !flying.size) {
					const seen = await this.standInLine(await this.status(opened.uploadId, false));
					if (isBrought(seen)) return null;
					const refused = plan.looked(seen.received);
					if (refused) this.noteRefused(refused);
				}
				const now = world.now();
				const chunk = plan.next(now);
				const pause = retrying.patience.until - now;
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
		}
		await reading;
		await source.digestRest(this.parts, this.parts.missing(source.size), check);
		return this.parts.crc;
	}
	async sendChunk(plan, uploadId, chunk) {
		const { source, teller, control, world } = this;
		const signal = control.halt;
		let flown = 0;
		try {
			const part = await source.digest(chunk.range);
			if (world.now() < this.retrying.patience.until) return plan.tookBack(chunk);
			if (!this.retrying.patience.inTrouble) this.tell("sending");
			else this.tell(teller.state, {
				...teller.news,
				retryAfter: null
			});
			chunk.began = world.now();
			const missing = await this.wire.chunk(uploadId, source.slice(chunk.range), part, signal, (loaded) => {
				teller.noteSent(loaded - flown);
				flown = loaded;
			});
			plan.passed(chunk, world.now());
			plan.learned(missing);
			this.parts.add(part);
			if (!this.retrying.patience.inTrouble) this.tell("sending");
		} catch (error) {
			await this.chunkFailed(plan, chunk, error);
		} finally {
			teller.noteAnswered(flown);
			teller.chunkSize = plan.size.now;
		}
	}
	async chunkFailed(plan, chunk, error) {
		if (!(error instanceof UploadFailure)) throw error;
		plan.tookBack(chunk);
		if (error instanceof Aborted) return;
		if (error instanceof ConnectionLost) await this.source.checkReadable();
		if (plan.failed(chunk, error, this.world.now(), this.world.jitter())) this.noteRefused(chunk.range[1] - chunk.range[0]);
		if (!(error instanceof TooLarge)) this.tellTrouble(error);
	}
	async complete(uploadId, crc) {
		for (;;) {
			this.tell("completing");
			const done = await this.retrying.ask("complete", () => this.wire.complete(uploadId, crc, this.control.end));
			if (done.state === "complete") return done;
			await this.control.sleep(pauseOf(done));
		}
	}
	/** Another tab sends this file: show how far it is. Null when it is our turn to go on. */
	async watch(fingerprint, isOurTurn) {
		const { teller } = this;
		for (;;) {
			const seen = await this.known() ?? await this.init(fingerprint);
			if (seen.state === "complete") return this.finish(seen);
			const bytesSafe = bytesIn(seen.received);
			teller.noteSpeed(Math.max(bytesSafe - teller.where.bytesSafe, 0));
			teller.where = {
				safe: seen.received,
				sending: [],
				bytesSafe
			};
			const problem = "Another tab is sending this file.";
			if (seen.isWaiting) this.tell("waiting", {
				position: seen.position,
				problem
			});
			else this.tell(seen.state === "completing" ? "completing" : "sending", { problem });
			if (isOurTurn()) return null;
			await this.control.sleep(pauseOf(seen), isOurTurn);
		}
	}
	finish(done) {
		const { size } = this.source;
		this.teller.where = {
			safe: size ? [[0, size]] : [],
			sending: [],
			bytesSafe: size
		};
		this.tell("done");
		return done.result;
	}
	/** What is known of the way is kept, whichever request has found it out. */
	noteRefused(size) {
		this.teller.refusedSize = size;
		this.world.limits.set(this.wire.endpoint, this.size.now);
	}
	tell(state, news = {}) {
		if (this.control.isCancelled && state !== "done") return;
		this.teller.tell(this.control.isPaused && state !== "done" ? "paused" : state, news);
	}
	tellTrouble(error) {
		this.tell(error instanceof NoRoom ? "waiting" : "retrying", {
			retryAfter: this.retrying.pause,
			position: typeof error.facts["position"] === "number" ? error.facts["position"] : null,
			problem: error.message
		});
	}
};
/** Null where it is not the server's, nor the way's. */
function nextAfter(error, verb) {
	return error instanceof UploadFailure ? whatNext(error, verb) : null;
}
// src/core/source.ts
/**
 * The file that is being sent.
 *
 * Rule 1: it is never in memory whole: at most `STEP` bytes of it at once, to digest
 * them. What goes out are slices, which the browser reads by itself.
 *
 * Rule 2: the fingerprint finds the same upload again after a reload without any state
 * on this side. It is made from name, size, time of change and samples of the content,
 * so a changed file does not go on in another's upload.
 */
/** Changes whenever the fingerprint is made in another way. */
var FINGERPRINT_VERSION = "j1";
var SAMPLES = 8;
var SAMPLE_SIZE = 65536;
var STEP = 1048576;
var Source = class {
	file;
	size;
	name;
	type;
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
	/** Reads what is missing in `parts`. Throws `FileChanged`, and what `check` throws. */
	async digestRest(parts, missing, check) {
		for (const [start, end] of missing) for (let at = start; at < end; at += STEP) {
			check();
			parts.add(await this.digest([at, Math.min(at + STEP, end)]));
		}
	}
	/** Throws `FileChanged` where the file is not what was chosen. */
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
	return new FileChanged("The file cannot be read any more: it was changed, moved or deleted.", {
		code: "file-changed",
		hint: "Choose the file again.",
		cause
	});
}
// src/core/teller.ts
/** Speed is measured over the last `WINDOW` seconds, once there are `SHORTEST`. */
var WINDOW = 10;
var SHORTEST = .2;
/** So many seconds in which nothing moves are part of the speed. */
var STILL = 2;
/** Progress is told at every change of state, and else at most so often (seconds). */
var TELL_EVERY = .05;
var Teller = class {
	total;
	now;
	onProgress;
	where = {
		safe: [],
		sending: [],
		bytesSafe: 0
	};
	chunkSize = null;
	refusedSize = null;
	state = "starting";
	news = {};
	/** When the next try is due. */
	dueAt = null;
	/** Sent and not answered yet, and sent in all: whatever becomes of it. */
	flying = 0;
	sent = 0;
	noted = [];
	toldAt = -Infinity;
	percent = 0;
	constructor(total, now, onProgress) {
		this.total = total;
		this.now = now;
		this.onProgress = onProgress;
	}
	noteSent(bytes) {
		this.flying += bytes;
		this.noteSpeed(Math.max(bytes, 0));
		this.tell(this.state, this.news);
	}
	/** Bytes that somebody sends, to tell the speed. */
	noteSpeed(bytes) {
		const now = this.now();
		this.sent += bytes;
		if (now - (this.noted.at(-1)?.[0] ?? -Infinity) >= TELL_EVERY) this.noted.push([now, this.sent]);
		while (this.noted[0] && this.noted[0][0] < now - WINDOW) this.noted.shift();
	}
	/** Time has passed: what is counted down, or stands still, is to be seen. */
	tick() {
		this.tell(this.state, this.news);
	}
	/** So many of the bytes on their way have their answer, whatever it is. */
	noteAnswered(bytes) {
		this.flying -= bytes;
	}
	tell(state, news = {}) {
		const now = this.now();
		const isNew = state !== this.state || this.toldAt === -Infinity;
		this.state = state;
		if (news !== this.news) this.dueAt = news.retryAfter == null ? null : now + news.retryAfter;
		this.news = news;
		if (!isNew && (state === "cancelled" || now - this.toldAt < TELL_EVERY)) return;
		this.toldAt = now;
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
		const speed = this.isMoving ? this.speed() : null;
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
			position: this.news.position ?? null,
			retryAfter: this.dueAt === null ? null : Math.max(this.dueAt - this.now(), 0),
			refusedSize: this.refusedSize,
			problem: this.news.problem ?? null
		};
	}
	/** Whoever waits has no speed, and nothing is known of the time that is left. */
	get isMoving() {
		return [
			"sending",
			"completing",
			"done"
		].includes(this.state);
	}
	speed() {
		const now = this.now();
		const first = this.noted.find(([at]) => at >= now - WINDOW);
		const last = this.noted.at(-1);
		if (!first || !last || last[0] - first[0] <= SHORTEST) return null;
		const until = now - last[0] > STILL ? now : last[0];
		return (last[1] - first[1]) / (until - first[0]);
	}
};
// src/core/transport.ts
/**
 * One HTTP request, by XMLHttpRequest: `fetch` does not tell how much of a body is out.
 *
 * Rule 1: it resolves with whatever answer came, and rejects with `ConnectionLost` or
 * `Aborted`, nothing else.
 */
/** A request fails after so many seconds in which nothing moved. */
var IDLE = 120;
/** Where nobody tells what moves, a body may take its time: at so many bytes a second. */
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
/** What `promise` gives; `Aborted` as soon as `signal` says so, whatever becomes of it. */
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
	return new ConnectionLost(code === "timed-out" ? "The server took or said nothing for too long." : "There is no connection to the server, or it broke.", {
		code,
		retryable: true,
		hint: "Every acknowledged byte is safe; the same upload can go on later."
	});
}
function fields(xhr) {
	const found = {};
	for (const line of xhr.getAllResponseHeaders().trim().split("\r\n")) {
		const colon = line.indexOf(":");
		if (colon > 0) found[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
	}
	return found;
}
// src/core/wire.ts
/**
 * One request each of the chunked API: no retries, no decisions.
 *
 * Rule 1: after a 401 or 403 the function `headers` is called again and the request is sent
 * again, once. What was acknowledged before stays valid.
 */
/** The headers of every request, asked for once and again after a 401 or 403. */
var Login = class {
	headers;
	version = 0;
	known = null;
	constructor(headers) {
		this.headers = headers;
	}
	get() {
		this.known ??= this.ask();
		return this.known;
	}
	/** Ask anew unless somebody has since `version`. False if there is nobody to ask. */
	refresh(version) {
		if (typeof this.headers !== "function") return false;
		if (this.version === version) {
			this.version += 1;
			this.known = null;
		}
		return true;
	}
	async ask() {
		try {
			return { ...typeof this.headers === "function" ? await this.headers() : this.headers };
		} catch (cause) {
			this.known = null;
			throw new Unauthorized("The application gave no headers to log in with.", {
				code: "no-headers",
				hint: "Log in and upload again: nothing that arrived is lost.",
				cause
			});
		}
	}
};
/** The requests of one upload. */
var Wire = class {
	world;
	options;
	endpoint;
	isSameOrigin;
	login;
	/** The last request was refused. */
	wasRefused = false;
	constructor(world, options) {
		this.world = world;
		this.options = options;
		this.endpoint = resolved((options.endpoint ?? "/api").replace(/\/+$/, ""));
		this.isSameOrigin = isSameOrigin(this.endpoint);
		this.login = new Login(options.headers);
	}
	async init(facts, signal) {
		return parseUpload(await this.post("init", facts, signal));
	}
	async status(uploadId, signal) {
		const path = `/chunked-upload/${encodeURIComponent(uploadId)}`;
		return parseUpload(await this.request("GET", path, {}, null, signal));
	}
	/** What the server still misses. */
	async chunk(uploadId, body, { range, crc }, signal, onSent) {
		const headers = { "content-type": "application/octet-stream" };
		if (this.isSameOrigin) headers["content-digest"] = renderDigest(crc);
		const query = new URLSearchParams({
			upload_id: uploadId,
			offset: String(range[0])
		});
		return parseMissing(await this.request("POST", `/chunked-upload/chunk?${query}`, headers, body, signal, onSent));
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
	/** The whole file in one ordinary request. */
	async whole(source, signal, onSent) {
		const form = new FormData();
		for (const [name, value] of Object.entries(this.options.metadata ?? {})) form.append(name, value);
		const { file, name, type } = source;
		form.append("file", type && type !== file.type ? file.slice(0, file.size, type) : file, name);
		return parseUpload(await this.request("POST", "/chunked-upload/upload", {}, form, signal, onSent));
	}
	post(verb, facts, signal) {
		const given = Object.entries(facts).filter(([, value]) => value != null);
		const body = JSON.stringify(Object.fromEntries(given));
		return this.request("POST", `/chunked-upload/${verb}`, { "content-type": "application/json" }, body, signal);
	}
	async request(method, path, headers, body, signal, onSent) {
		for (let isLastTry = false;; isLastTry = true) {
			const version = this.login.version;
			const login = await unlessAborted(this.login.get(), signal);
			const answer = await this.send({
				method,
				url: this.endpoint + path,
				headers: {
					accept: "application/json",
					...login,
					...headers
				},
				body,
				credentials: this.options.credentials ?? "same-origin",
				signal,
				onSent
			});
			if (answer.status >= 200 && answer.status < 300) return answer;
			const error = parseError(answer);
			if (isLastTry || !wantsFreshHeaders(error) || !this.login.refresh(version)) throw error;
		}
	}
	async send(asked) {
		const wasRefused = this.wasRefused && !(asked.body instanceof FormData);
		this.wasRefused = false;
		try {
			const answer = await this.world.send(asked);
			this.wasRefused = answer.status >= 400;
			return answer;
		} catch (error) {
			if (wasRefused && error instanceof ConnectionLost && error.code === "connection-lost") return this.send(asked);
			if (error instanceof ConnectionLost && !this.world.isOnline()) throw new ConnectionLost("There is no network.", {
				code: "offline",
				retryable: true,
				hint: "It goes on when the network is back.",
				cause: error
			});
			throw error;
		}
	}
};
/** The endpoint as an absolute address. Throws `UploadFailure` where a browser has none. */
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
	throw new UploadFailure("There is no upload server at this address.", {
		code: "bad-endpoint",
		hint: "Give the option `endpoint` as a whole address, like https://example.org/api."
	});
}
function isSameOrigin(endpoint) {
	if (typeof location === "undefined") return true;
	return new URL(endpoint).origin === globalThis.origin;
}
// src/core/world.ts
var KEPT = "wherry-limit:";
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
	isOnline: () => typeof navigator === "undefined" || navigator.onLine !== false,
	onOnline(act) {
		if (typeof addEventListener === "undefined") return () => void 0;
		addEventListener("online", act);
		return () => removeEventListener("online", act);
	},
	locks: () => typeof navigator === "undefined" ? null : navigator.locks ?? null,
	ways: /* @__PURE__ */ new Map(),
	limits: {
		get(endpoint) {
			try {
				return Number(sessionStorage.getItem(KEPT + endpoint)) || null;
			} catch {
				return null;
			}
		},
		set(endpoint, limit) {
			try {
				sessionStorage.setItem(KEPT + endpoint, String(limit));
			} catch {}
		}
	}
};
// src/core/upload.ts
/** The four ways to upload a file: one request, chunks, whichever fits, and by hand. */
/** A cancel waits so many seconds for requests on their way, and so many for its own answer. */
var CANCEL_WITHIN = 5;
var CANCEL_AGAIN = .5;
/** What holds for all uploads; each one's own options come before it. */
var defaults = {};
/** An upload in chunks: to start, pause, resume and cancel. */
function createUpload(file, options = {}) {
	return new OneUpload(file, options, "chunks");
}
/** One ordinary request with the file in the form field `file`. */
async function uploadVideo(file, onProgress, options = {}) {
	return new OneUpload(file, {
		onProgress,
		...options
	}, "whole").start();
}
/** Many small requests, however large the file and however narrow the way. */
async function uploadVideoChunked(file, onProgress, options = {}) {
	return new OneUpload(file, {
		onProgress,
		...options
	}, "chunks").start();
}
/** One ordinary request where the file is small, and chunks where it is not or is refused. */
async function smartUpload(file, onProgress, options = {}) {
	return new OneUpload(file, {
		onProgress,
		...options
	}, "smart").start();
}
/**
 * For a page that goes away: pause it for good, and let go of its file.
 *
 * Its promise rejects with `Aborted`; what has arrived stays on the server, to be gone on with.
 */
function leave(upload) {
	upload.pause();
	if (upload instanceof OneUpload) upload.leave();
}
var OneUpload = class {
	how;
	world;
	options;
	source;
	teller;
	control;
	run = null;
	running = null;
	constructor(file, options, how, world = browser) {
		this.how = how;
		this.world = world;
		if (typeof file?.arrayBuffer !== "function") throw new TypeError("The file is not a File or Blob.");
		const own = Object.entries(options).filter(([, value]) => value !== void 0);
		this.options = {
			...defaults,
			...Object.fromEntries(own)
		};
		if (this.options.fingerprint === false) this.options.fingerprint = unique();
		this.source = new Source(file, this.options.filename, this.options.contentType);
		this.teller = new Teller(file.size, () => world.now(), this.options.onProgress);
		this.control = new Control(world);
	}
	get details() {
		return this.teller.details;
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
		if (!this.running || control.isPaused || control.isCancelled || this.teller.state === "done") return;
		control.pause();
		this.teller.tell("paused");
	}
	resume() {
		if (!this.control.isPaused) return;
		this.control.resume();
	}
	async cancel() {
		if (this.teller.state === "done") return;
		if (this.running) {
			this.end();
			await this.running.catch(() => void 0);
		} else {
			await this.cancelOnServer();
			this.teller.tell("cancelled");
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
		this.teller.tell("cancelled");
		this.endSoon();
	}
	endSoon() {
		const { control } = this;
		this.world.after(CANCEL_WITHIN, () => control.endRequests());
	}
	async go() {
		const { world, options, teller } = this;
		const { signal } = options;
		const control = this.control = new Control(world);
		const wire = new Wire(world, options);
		const run = new Run(world, wire, this.source, this.chunkSize(wire), options, teller, control);
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
			teller.tell("failed", { problem: error instanceof Error ? error.message : String(error) });
			throw error;
		} finally {
			signal?.removeEventListener("abort", abort);
		}
	}
	async send(run) {
		for (;;) {
			const stopListening = this.world.onOnline(() => run.online());
			const stopTicking = this.world.every(1, () => this.teller.tick());
			try {
				if (this.how === "whole" || this.how === "smart" && run.isSmall) {
					const done = await run.inOneRequest(this.how === "smart");
					if (done) return done;
				}
				return await run.inChunks();
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
	/** What it does not reach within its time expires by itself. */
	async cancelOnServer() {
		const { world, uploadId } = this;
		if (!uploadId) return;
		const wire = new Wire(world, this.options);
		const limit = new AbortController();
		const stop = world.after(CANCEL_WITHIN, () => limit.abort());
		try {
			while (!limit.signal.aborted) {
				try {
					return await wire.cancel(uploadId, limit.signal);
				} catch (error) {
					if (!(error instanceof UploadFailure) || !error.retryable) return;
				}
				await new Promise((resolve) => world.after(CANCEL_AGAIN, resolve));
			}
		} finally {
			stop();
		}
	}
	chunkSize(wire) {
		const { ways, limits } = this.world;
		const way = ways.get(wire.endpoint) ?? unknownWay(limits.get(wire.endpoint));
		ways.set(wire.endpoint, way);
		const size = new ChunkSize(way);
		if (this.options.chunkSize) size.preferred = this.options.chunkSize;
		return size;
	}
};
function unique() {
	return `unique-${[...crypto.getRandomValues(/* @__PURE__ */ new Uint32Array(4))].map((number) => number.toString(16)).join("")}`;
}
export { Aborted, AnswerLost, ConnectionLost, FileChanged, GaveUp, NoRoom, NoSpace, Refused, ServerFailed, TooLarge, Unauthorized, UnexpectedAnswer, UploadFailure, UploadGone, createUpload, defaults, leave, smartUpload, uploadVideo, uploadVideoChunked };
