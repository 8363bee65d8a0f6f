/*
 * What Skerry adds to the XS worker: exact memory counters, and creation sizes from outside.
 *
 * The worker's own main file is compiled with two names redirected here by the preprocessor (build.ts), so that nothing in
 * the carried sources is edited: `modInstallBase64` is the last thing it installs, `fxCreateMachine` is where sizes are given.
 */
#include "xsAll.h"

extern int gxStress;
extern void modInstallBase64(txMachine* the);
extern void skerryInstall(txMachine* the);
extern txMachine* skerryCreateMachine(txCreation* creation, txString name, void* context, txID profileID);

/* memoryCounters(resetPeaks): collects, then answers JSON text as an ArrayBuffer. */
static void skerryMemoryCounters(txMachine* the)
{
	char text[256];
	txSize slots, slotPeak, chunkBytes, chunkPeak;
	int length;

	slotPeak = the->peakHeapCount;
	chunkPeak = the->peakChunksSize;
	fxCollectGarbage(the);
	slots = the->currentHeapCount;
	chunkBytes = the->currentChunksSize;
	if ((mxArgc > 0) && fxToBoolean(the, mxArgv(0))) {
		the->peakHeapCount = slots;
		the->peakChunksSize = chunkBytes;
	}
	length = snprintf(text, sizeof(text),
		"{\"slotBytes\":%d,\"slots\":%d,\"slotPeak\":%d,\"chunkBytes\":%d,\"chunkPeak\":%d,\"keys\":%d}",
		(int)sizeof(txSlot), (int)slots, (int)slotPeak, (int)chunkBytes, (int)chunkPeak, (int)the->keyIndex);
	fxArrayBuffer(the, mxResult, text, length, -1);
}

/* collectAlways(on): a collection before every allocation, so that peaks are what was live. */
static void skerryCollectAlways(txMachine* the)
{
	gxStress = (mxArgc > 0) && fxToBoolean(the, mxArgv(0));
}

static void skerryDefine(txMachine* the, txCallback callback, txString name)
{
	fxNewHostFunction(the, callback, 1, XS_NO_ID, XS_NO_ID);
	mxPush(mxGlobal);
	fxDefineID(the, fxNewNameC(the, name), XS_DONT_ENUM_FLAG,
		XS_DONT_ENUM_FLAG | XS_DONT_DELETE_FLAG | XS_DONT_SET_FLAG);
	mxPop();
}

void skerryInstall(txMachine* the)
{
	modInstallBase64(the);
	fxBeginHost(the);
	skerryDefine(the, skerryMemoryCounters, "memoryCounters");
	skerryDefine(the, skerryCollectAlways, "collectAlways");
	fxEndHost(the);
}

/* SKERRY_XS_CREATION: chunk bytes, chunk increment, slots, slot increment, stack slots, keys, key increment; 0 keeps. */
txMachine* skerryCreateMachine(txCreation* creation, txString name, void* context, txID profileID)
{
	txCreation own = *creation;
	char* text = getenv("SKERRY_XS_CREATION");
	txSize* fields[] = {
		&own.initialChunkSize, &own.incrementalChunkSize, &own.initialHeapCount, &own.incrementalHeapCount,
		&own.stackCount, &own.initialKeyCount, &own.incrementalKeyCount
	};
	size_t i;

	for (i = 0; text && *text && (i < sizeof(fields) / sizeof(fields[0])); i++) {
		char* end;
		long value = strtol(text, &end, 10);
		if (value > 0)
			*fields[i] = (txSize)value;
		text = (*end == ',') ? end + 1 : end;
	}
	return fxCreateMachine(&own, name, context, profileID);
}
