"""What holds after lesson 01, in the kernel that ran it."""

pair = np.array([0, 28000])

assert math.isclose(to_radiance(28000), 9.4576)
assert in_kelvin | thermometer[-1:] == thermometer
assert [type(step).__name__ for step in thermometer] == ["Rescale", "InversePlanck", "Rescale"]
assert again is not thermometer
assert len({again, thermometer, to_celsius}) == 2
assert Rescale(2) != Rescale(2.0), "an integer gain keeps integers, a float gain does not"

assert result["brightness_K"] == in_kelvin(28000)
assert result["surface_C"] > thermometer(28000), "a grey body is warmer than it looks"
assert units(28000)["C"] == thermometer(28000)
assert reports == {"water": 26.6, "forest": 27.2, "dry sand": 31.6}

assert math.isnan(safe(0))
assert round(thermometer(0)) == -126
assert math.isnan(guarded(0))
assert np.isnan(guarded(pair)).tolist() == [True, False]
assert (Identity() | thermometer)(28000) == thermometer(28000) == (thermometer | Identity())(28000)
assert logged == kept
assert batches[:5] == [200, 64, 64, 64, 8]
assert abs(lapse + 6.5) < 0.3

assert from_yaml(to_yaml(ground)) == ground
assert pickle.loads(pickle.dumps(thermometer))(28000) == thermometer(28000)
assert "(3, 2) float64" in note
assert all(math.isnan(value) for value in thermal_report(0).values())
assert thermal_report(28000)["looks like [C]"] == round(float(thermometer(28000)), 1)
assert read_back.config_hash == thermal_report.config_hash
assert to_yaml(read_back) == saved

for refused, attempt in (
    (TypeError, lambda: celsius_of(np.array([9.4, 9.5]), K1, K2)),
    (TypeError, lambda: json.dumps(partial(celsius_of, k1=K1, k2=K2))),
    (TypeError, lambda: Forgetful(3).get_config()),
    (ValueError, lambda: safe(pair)),
    (ValueError, lambda: Graph(inputs={"dn": dn}, outputs={"surface": surface})),
    (NotSerializableError, lambda: (thermometer | Lambda(lambda t: t + 1)).config_hash),
    (UntrustedOperatorError, lambda: from_yaml(text.replace("InversePlanck", "os.system"))),
):
    try:
        attempt()
    except refused:
        continue
    raise AssertionError(f"no {refused.__name__}")
