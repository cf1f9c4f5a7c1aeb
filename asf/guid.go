package asf

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// GUID is an object identifier in wire order: the first three groups of the
// text form are little-endian, the last two stand as written [ASF 2.1].
type GUID [16]byte

// wireOrder says which byte of the text form stands at each place of the wire
// form; the permutation is its own inverse.
var wireOrder = [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}

// String returns the text form in capitals, as in
// 75B22630-668E-11CF-A6D9-00AA0062CE6C.
func (g GUID) String() string {
	var t GUID
	for i, from := range wireOrder {
		t[i] = g[from]
	}
	return fmt.Sprintf("%X-%X-%X-%X-%X", t[0:4], t[4:6], t[6:8], t[8:10], t[10:16])
}

// ParseGUID reads the text form, in capitals or not, with or without braces.
func ParseGUID(s string) (GUID, error) {
	text := strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}")
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return GUID{}, fmt.Errorf("asf: %q is not a guid: %w", s, ErrField)
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(raw) != 16 {
		return GUID{}, fmt.Errorf("asf: %q is not a guid: %w", s, ErrField)
	}
	var g GUID
	for i, from := range wireOrder {
		g[from] = raw[i]
	}
	return g, nil
}

// mustGUID is for the constants of this package only.
func mustGUID(s string) GUID {
	g, err := ParseGUID(s)
	if err != nil {
		panic(err)
	}
	return g
}

// guidAt returns the GUID at b[at:at+16], which the caller has checked.
func guidAt(b []byte, at int) GUID { return GUID(b[at : at+16]) }

// Top-level objects [ASF 10.1].
var (
	GUIDHeader        = mustGUID("75B22630-668E-11CF-A6D9-00AA0062CE6C")
	GUIDData          = mustGUID("75B22636-668E-11CF-A6D9-00AA0062CE6C")
	GUIDSimpleIndex   = mustGUID("33000890-E5B1-11CF-89F4-00A0C90349CB")
	GUIDIndex         = mustGUID("D6E229D3-35DA-11D1-9034-00A0C90349BE")
	GUIDMediaIndex    = mustGUID("FEB103F8-12AD-4C64-840F-2A1D2F7AD48C")
	GUIDTimecodeIndex = mustGUID("3CB73FD0-0C4A-4803-953D-EDF7B6228F0C")
)

// Objects of the Header Object [ASF 10.2].
var (
	GUIDFileProperties         = mustGUID("8CABDCA1-A947-11CF-8EE4-00C00C205365")
	GUIDStreamProperties       = mustGUID("B7DC0791-A9B7-11CF-8EE6-00C00C205365")
	GUIDHeaderExtension        = mustGUID("5FBF03B5-A92E-11CF-8EE3-00C00C205365")
	GUIDCodecList              = mustGUID("86D15240-311D-11D0-A3A4-00A0C90348F6")
	GUIDScriptCommand          = mustGUID("1EFB1A30-0B62-11D0-A39B-00A0C90348F6")
	GUIDMarker                 = mustGUID("F487CD01-A951-11CF-8EE6-00C00C205365")
	GUIDBitrateExclusion       = mustGUID("D6E229DC-35DA-11D1-9034-00A0C90349BE")
	GUIDErrorCorrection        = mustGUID("75B22635-668E-11CF-A6D9-00AA0062CE6C")
	GUIDContentDescription     = mustGUID("75B22633-668E-11CF-A6D9-00AA0062CE6C")
	GUIDExtContentDescription  = mustGUID("D2D0A440-E307-11D2-97F0-00A0C95EA850")
	GUIDStreamBitrates         = mustGUID("7BF875CE-468D-11D1-8D82-006097C9A2B2")
	GUIDContentEncryption      = mustGUID("2211B3FB-BD23-11D2-B4B7-00A0C955FC6E")
	GUIDExtContentEncryption   = mustGUID("298AE614-2622-4C17-B935-DAE07EE9289C")
	GUIDAdvContentEncryption   = mustGUID("43058533-6981-49E6-9B74-AD12CB86D58C")
	GUIDDigitalSignature       = mustGUID("2211B3FC-BD23-11D2-B4B7-00A0C955FC6E")
	GUIDPadding                = mustGUID("1806D474-CADF-4509-A4BA-9AABCB96AAE8")
	GUIDExtStreamProperties    = mustGUID("14E6A5CB-C672-4332-8399-A96952065B5A")
	GUIDAdvancedExclusion      = mustGUID("A08649CF-4775-4670-8A16-6E35357566CD")
	GUIDStreamPrioritization   = mustGUID("D4FED15B-88D3-454F-81F0-ED5C45999E24")
	GUIDBandwidthSharing       = mustGUID("A69609E6-517B-11D2-B6AF-00C04FD908E9")
	GUIDLanguageList           = mustGUID("7C4346A9-EFE0-4BFC-B229-393EDE415C85")
	GUIDMetadata               = mustGUID("C5F8CBEA-5BAF-4877-8467-AA8C44FA4CCA")
	GUIDMetadataLibrary        = mustGUID("44231C94-9498-49D1-A141-1D134E457054")
	GUIDCompatibility          = mustGUID("26F18B5D-4584-47EC-9F5F-0E651F0452C9")
	guidHeaderExtensionReserve = mustGUID("ABD3D211-A9BA-11CF-8EE6-00C00C205365")
	guidCodecListReserve       = mustGUID("86D15241-311D-11D0-A3A4-00A0C90348F6")
	guidScriptCommandReserve   = mustGUID("4B1ACBE3-100B-11D0-A39B-00A0C90348F6")
)

// Stream types, error correction types and payload extension systems
// [ASF 10.4, 10.5, 10.13].
var (
	GUIDAudio            = mustGUID("F8699E40-5B4D-11CF-A8FD-00805F5C442B")
	GUIDVideo            = mustGUID("BC19EFC0-5B4D-11CF-A8FD-00805F5C442B")
	GUIDCommand          = mustGUID("59DACFC0-59E6-11D0-A3AC-00A0C90348F6")
	GUIDNoCorrection     = mustGUID("20FB5700-5B55-11CF-A8FD-00805F5C442B")
	GUIDAudioSpread      = mustGUID("BFC3CD50-618F-11CF-8BB2-00AA00B4E220")
	GUIDPixelAspectRatio = mustGUID("1B1EE554-F9EA-4BC8-821A-376B74E4C4B8")
	GUIDSampleDuration   = mustGUID("C6BD9450-867F-4907-83A3-C77921B733AD")
	GUIDMutexBitrate     = mustGUID("D6E22A01-35DA-11D1-9034-00A0C90349BE")
)

// objectNames are the names used in errors.
var objectNames = map[GUID]string{
	GUIDHeader:                "header object",
	GUIDData:                  "data object",
	GUIDFileProperties:        "file properties",
	GUIDStreamProperties:      "stream properties",
	GUIDHeaderExtension:       "header extension",
	GUIDCodecList:             "codec list",
	GUIDScriptCommand:         "script command",
	GUIDMarker:                "marker",
	GUIDBitrateExclusion:      "bitrate mutual exclusion",
	GUIDErrorCorrection:       "error correction",
	GUIDContentDescription:    "content description",
	GUIDExtContentDescription: "extended content description",
	GUIDStreamBitrates:        "stream bitrate properties",
	GUIDContentEncryption:     "content encryption",
	GUIDExtContentEncryption:  "extended content encryption",
	GUIDAdvContentEncryption:  "advanced content encryption",
	GUIDDigitalSignature:      "digital signature",
	GUIDPadding:               "padding",
	GUIDExtStreamProperties:   "extended stream properties",
	GUIDAdvancedExclusion:     "advanced mutual exclusion",
	GUIDStreamPrioritization:  "stream prioritization",
	GUIDBandwidthSharing:      "bandwidth sharing",
	GUIDLanguageList:          "language list",
	GUIDMetadata:              "metadata",
	GUIDMetadataLibrary:       "metadata library",
	GUIDCompatibility:         "compatibility",
	GUIDSimpleIndex:           "simple index",
	GUIDIndex:                 "index",
	GUIDMediaIndex:            "media object index",
	GUIDTimecodeIndex:         "timecode index",
}

// Name returns what the specification calls the object, in lower case, or
// "unknown object".
func (g GUID) Name() string {
	if name, ok := objectNames[g]; ok {
		return name
	}
	return "unknown object"
}
